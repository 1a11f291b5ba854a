#include "striate/visualization/pixels.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include "striate/base/error.h"

namespace striate {

namespace {

at::Tensor by_channel(const std::vector<double>& numbers, const at::Tensor& images) {
  const auto count = static_cast<int64_t>(numbers.size());
  if (images.dim() < 3 || (count != 1 && count != images.size(-3))) {
    throw ShapeError(fmt::format("a pixel scale of {} channels does not fit images of {}", count,
                                 images.dim() < 3 ? 0 : images.size(-3)));
  }
  return at::tensor(numbers, at::kDouble).to(images.options()).view({-1, 1, 1});
}

}  // namespace

at::Tensor normalize_pixels(const at::Tensor& pixels, const PixelScale& scale) {
  return (pixels - by_channel(scale.mean, pixels)) / by_channel(scale.std, pixels);
}

at::Tensor to_pixels(const at::Tensor& images, const PixelScale& scale) {
  return images * by_channel(scale.std, images) + by_channel(scale.mean, images);
}

at::Tensor round_to_grey_levels(const at::Tensor& pixels) {
  return (pixels.clamp(0, 1) * 255).round() / 255;
}

}  // namespace striate
