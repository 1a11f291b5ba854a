// Non-maximum suppression of drawn boxes, which are those of bench/compare_suppression.py:
//   build/dev/bin/suppression_bench [--benchmark_filter=REGEX]
// 4,800 is what a feature pyramid proposes, in 5 groups; 20,000 a head's answers for 91 classes.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include "striate/detection/suppression.h"

namespace striate {
namespace {

void suppress(benchmark::State& state) {
  at::set_num_threads(1);
  const int64_t count = state.range(0);
  at::manual_seed(1);
  const at::Tensor corners = at::rand({count, 2}) * 800;
  const at::Tensor boxes = at::cat({corners, corners + 8 + at::rand({count, 2}) * 200}, 1);
  const at::Tensor scores = at::rand({count});
  const at::Tensor groups = at::arange(count).remainder(state.range(1));
  int64_t kept = 0;
  for (auto _ : state) kept = suppress_overlaps(boxes, scores, groups, 0.5).numel();
  state.counters["kept"] = static_cast<double>(kept);
}
BENCHMARK(suppress)
    ->ArgNames({"boxes", "groups"})
    ->Args({1000, 1})
    ->Args({4800, 5})
    ->Args({20000, 90})
    ->Args({20000, 1})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace striate
