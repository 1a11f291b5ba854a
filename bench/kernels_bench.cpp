// Micro-benchmarks of the room `kernels`, on one thread, with layers of ResNet-50 and VGG-16:
//   build/dev/bin/kernels_bench [--benchmark_filter=REGEX]
// "flops" counts two for each multiply-add of the definition, so that Winograd's convolution, which
// needs fewer, can be above the processor's peak.

#include <benchmark/benchmark.h>
#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/batch_norm.h"
#include "kernels/direct_convolution.h"
#include "kernels/pooling.h"
#include "kernels/split_convolution.h"
#include "kernels/winograd.h"

namespace striate {
namespace {

using kernels::ConvolutionShape;

std::vector<float> values(int64_t count) {
  std::vector<float> result(static_cast<size_t>(count));
  for (size_t i = 0; i < result.size(); ++i) result[i] = static_cast<float>(i % 17) * 0.1F - 0.8F;
  return result;
}

void count_flops(benchmark::State& state, const ConvolutionShape& s) {
  const auto products = static_cast<double>(s.rows() * s.length() * s.out_channels);
  state.counters["flops"] = benchmark::Counter(
      2 * products, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

// Arguments: batch, height and width, in, out, kernel, stride.
ConvolutionShape shape(const benchmark::State& state) {
  const int64_t kernel = state.range(4);
  return {.batch = state.range(0),
          .height = state.range(1),
          .width = state.range(1),
          .in_channels = state.range(2),
          .out_channels = state.range(3),
          .kernel_height = kernel,
          .kernel_width = kernel,
          .stride_height = state.range(5),
          .stride_width = state.range(5),
          .pad_height = kernel / 2,
          .pad_width = kernel / 2};
}

// As memory of LibTorch's, at the begin of a line of the cache.
template <typename T>
hwy::AlignedFreeUniquePtr<T[]> zeros(int64_t count) {
  auto memory = hwy::AllocateAligned<T>(static_cast<size_t>(count));
  std::fill_n(memory.get(), count, T{});
  return memory;
}

template <typename T>
void direct_convolution(benchmark::State& state) {
  const ConvolutionShape s = shape(state);
  const auto input = zeros<T>(s.batch * s.height * s.width * s.in_channels);
  const auto kernels = values(s.out_channels * s.length());
  const auto packed = zeros<T>(kernels::direct_packed_size<T>(s));
  const int64_t panels = (s.out_channels - 1) / kernels::direct_panel() + 1;
  kernels::direct_pack<T>(s, {kernels.data()}, packed.get(), 0, panels);
  const auto scratch = zeros<T>(kernels::direct_scratch_size<T>(s));
  const auto output = zeros<T>(s.rows() * s.out_channels);
  for (auto _ : state) {
    kernels::direct_convolve<T>(s,
                                {.input = input.get(),
                                 .input_stride = s.in_channels,
                                 .packed = packed.get(),
                                 .epilogue = {.relu = true},
                                 .output = output.get(),
                                 .output_stride = s.out_channels},
                                0, s.rows(), 0, panels, scratch.get());
    benchmark::ClobberMemory();
  }
  count_flops(state, s);
}
void resnet_layers(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"batch", "size", "in", "out", "kernel", "stride"});
  for (const int64_t batch : {1, 8}) {
    benchmark->Args({batch, 224, 3, 64, 7, 2})
        ->Args({batch, 56, 64, 64, 1, 1})
        ->Args({batch, 56, 64, 64, 3, 1})
        ->Args({batch, 56, 64, 256, 1, 1})
        ->Args({batch, 56, 256, 64, 1, 1})
        ->Args({batch, 56, 128, 128, 3, 2})
        ->Args({batch, 28, 128, 128, 3, 1})
        ->Args({batch, 28, 128, 512, 1, 1})
        ->Args({batch, 28, 512, 128, 1, 1})
        ->Args({batch, 14, 256, 256, 3, 1})
        ->Args({batch, 14, 256, 1024, 1, 1})
        ->Args({batch, 14, 1024, 256, 1, 1})
        ->Args({batch, 14, 512, 512, 3, 2})
        ->Args({batch, 7, 512, 512, 3, 1})
        ->Args({batch, 7, 512, 2048, 1, 1})
        ->Args({batch, 7, 2048, 512, 1, 1});
  }
}
template <kernels::KernelUse use>
void split_convolution(benchmark::State& state) {
  if (!kernels::splits_products()) return state.SkipWithError("this processor has no tiles");
  const ConvolutionShape s = shape(state);
  const auto input = zeros<float>(s.batch * s.height * s.width * s.in_channels);
  const auto kernels = values(s.out_channels * s.length());
  const auto packed = zeros<kernels::BFloat16>(kernels::split_packed_size(use, s));
  const int64_t panels = (s.out_channels - 1) / kernels::direct_panel() + 1;
  kernels::split_pack(s, {kernels.data(), nullptr, use}, packed.get(), 0, panels);
  const auto scratch = zeros<kernels::BFloat16>(kernels::split_scratch_size(use, s));
  const auto output = zeros<float>(s.rows() * s.out_channels);
  for (auto _ : state) {
    kernels::split_convolve(use, s,
                            {.input = input.get(),
                             .input_stride = s.in_channels,
                             .packed = nullptr,
                             .epilogue = {.relu = true},
                             .output = output.get(),
                             .output_stride = s.out_channels},
                            packed.get(), 0, s.rows(), 0, panels, scratch.get());
    benchmark::ClobberMemory();
  }
  count_flops(state, s);
}
BENCHMARK(direct_convolution<float>)->Apply(resnet_layers);
BENCHMARK(split_convolution<kernels::KernelUse::kOutput>)->Apply(resnet_layers);
BENCHMARK(split_convolution<kernels::KernelUse::kInputGradient>)->Apply(resnet_layers);
BENCHMARK(direct_convolution<kernels::BFloat16>)->Apply(resnet_layers);

void winograd_convolution(benchmark::State& state) {
  const ConvolutionShape s = shape(state);
  const kernels::WinogradShape w = {.batch = s.batch,
                                    .height = s.height,
                                    .width = s.width,
                                    .in_channels = s.in_channels,
                                    .out_channels = s.out_channels,
                                    .pad_height = 1,
                                    .pad_width = 1};
  constexpr int64_t kTiles = 56;
  const auto input = values(s.batch * s.height * s.width * s.in_channels);
  const auto kernels = values(s.out_channels * s.length());
  const int64_t out = kernels::winograd_padded(s.out_channels);
  const int64_t panels = out / kernels::winograd_panel();
  std::vector<float> packed(static_cast<size_t>(kernels::kWinogradPoints * s.in_channels * out));
  kernels::winograd_pack(s.in_channels, s.out_channels, {kernels.data()}, packed.data(), 0, panels);
  std::vector<float> scratch(static_cast<size_t>(kernels::winograd_scratch_size(w, kTiles)));
  std::vector<float> output(static_cast<size_t>(s.rows() * s.out_channels));
  for (auto _ : state) {
    for (int64_t tile = 0; tile < w.tiles(); tile += kTiles) {
      kernels::winograd_convolve<float>(w,
                                 {.input = input.data(),
                                  .input_stride = s.in_channels,
                                  .packed = packed.data(),
                                  .epilogue = {.relu = true},
                                  .output = output.data(),
                                  .output_stride = s.out_channels},
                                 tile, std::min(tile + kTiles, w.tiles()), 0, panels,
                                 scratch.data());
    }
    benchmark::ClobberMemory();
  }
  count_flops(state, s);
}
BENCHMARK(winograd_convolution)
    ->ArgNames({"batch", "size", "in", "out", "kernel", "stride"})
    ->Args({1, 224, 64, 64, 3, 1})
    ->Args({1, 56, 64, 64, 3, 1})
    ->Args({1, 28, 128, 128, 3, 1})
    ->Args({1, 14, 256, 256, 3, 1})
    ->Args({1, 14, 512, 512, 3, 1});

// Arguments: rows, channels.
void batch_norm_apply(benchmark::State& state) {
  const int64_t rows = state.range(0);
  const int64_t channels = state.range(1);
  const auto x = values(rows * channels);
  const auto scale = values(channels);
  std::vector<float> y(x.size());
  for (auto _ : state) {
    kernels::norm_apply<float>({.x = x.data(),
                         .residual = nullptr,
                         .scale = scale.data(),
                         .shift = scale.data(),
                         .relu = true,
                         .y = y.data()},
                        rows, channels);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * rows * channels * 8);
}
BENCHMARK(batch_norm_apply)->ArgNames({"rows", "channels"})->Args({128, 64})->Args({50176, 64});

void batch_norm_statistics(benchmark::State& state) {
  const int64_t rows = state.range(0);
  const int64_t channels = state.range(1);
  const auto x = values(rows * channels);
  std::vector<float> mean(static_cast<size_t>(channels));
  std::vector<float> deviations(mean.size());
  for (auto _ : state) {
    kernels::norm_statistics(x.data(), rows, channels, mean.data(), deviations.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * rows * channels * 4);
}
BENCHMARK(batch_norm_statistics)->ArgNames({"rows", "channels"})->Args({128, 64})->Args({32, 256});

// Arguments: channels.
void max_pooling(benchmark::State& state) {
  const int64_t channels = state.range(0);
  constexpr int64_t kSize = 112;
  const auto x = values(kSize * kSize * channels);
  std::vector<float> y(static_cast<size_t>(kSize / 2 * kSize / 2 * channels));
  for (auto _ : state) {
    for (int64_t i = 0; i < kSize / 2 - 1; ++i) {
      for (int64_t j = 0; j < kSize / 2 - 1; ++j) {
        kernels::window_maximum<float>({.first = x.data() + 2 * (i * kSize + j) * channels,
                                 .rows = 3,
                                 .columns = 3,
                                 .row_stride = kSize * channels,
                                 .column_stride = channels},
                                channels, y.data() + (i * kSize / 2 + j) * channels);
      }
    }
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * kSize * kSize * channels * 4);
}
BENCHMARK(max_pooling)->ArgName("channels")->Arg(64);

}  // namespace
}  // namespace striate
