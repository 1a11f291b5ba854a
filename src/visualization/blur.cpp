#include "visualization/blur.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/replication_pad2d.h>

#include <algorithm>
#include <cmath>

namespace striate {

at::Tensor gaussian_blur(const at::Tensor& images, double deviation) {
  if (!(deviation > 0)) return images;
  const auto radius = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(3 * deviation)));
  const at::Tensor at = at::arange(-radius, radius + 1, images.options());
  at::Tensor weights = (at.square() / (-2 * deviation * deviation)).exp();
  weights = weights / weights.sum();
  const int64_t channels = images.size(1);
  const auto pass = [&](const at::Tensor& x, bool vertical) {
    const at::Tensor kernel = vertical ? weights.view({1, 1, -1, 1}) : weights.view({1, 1, 1, -1});
    return at::conv2d(x, kernel.expand({channels, 1, -1, -1}), std::nullopt, {1, 1},
                      at::IntArrayRef{0, 0}, {1, 1}, channels);
  };
  const at::Tensor padded = at::replication_pad2d(images, {radius, radius, radius, radius});
  return pass(pass(padded, true), false);
}

}  // namespace striate
