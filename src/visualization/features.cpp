#include "visualization/features.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <atomic>
#include <cmath>
#include <stdexcept>

#include "striate/base/error.h"

namespace striate {

at::Tensor checked_features(const at::Tensor& features, const std::string& name) {
  if (!features.defined() || features.dim() != 2 || features.size(1) < 1) {
    throw ShapeError(fmt::format(
        "{} need the shape (N, D) with D >= 1, got ({})", name,
        features.defined() ? fmt::format("{}", fmt::join(features.sizes(), ", ")) : "nothing"));
  }
  if (features.scalar_type() != at::kFloat || !features.device().is_cpu()) {
    throw ShapeError(fmt::format("{} need to be float32 on the CPU, got {} on {}", name,
                                 at::toString(features.scalar_type()), features.device().str()));
  }
  at::Tensor result = features.detach().contiguous();
  const float* values = result.const_data_ptr<float>();
  const int64_t width = result.size(1);
  std::atomic<bool> finite = true;
  for_chunks(result.size(0), [&](int64_t begin, int64_t end) {
    bool all = true;
    for (int64_t i = begin * width; i < end * width; ++i) all &= std::isfinite(values[i]);
    if (!all) finite = false;
  });
  if (!finite) throw std::invalid_argument(name + " hold a value that is not finite");
  return result;
}

}  // namespace striate
