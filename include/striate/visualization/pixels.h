#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace striate {

/// How a network's images come from pixels in [0, 1]: (pixel - mean) / std for each channel. One
/// number stands for every channel.
struct PixelScale {
  std::vector<double> mean = {0};
  std::vector<double> std = {1};
};

/// (…, C, H, W) pixels in [0, 1] to a network's images, and back; differentiable.
/// @throws ShapeError  there are neither C numbers nor one.
at::Tensor normalize_pixels(const at::Tensor& pixels, const PixelScale& scale);
at::Tensor to_pixels(const at::Tensor& images, const PixelScale& scale);
/// To the nearest of 256 grey levels, as a picture's file holds them; in [0, 1].
at::Tensor round_to_grey_levels(const at::Tensor& pixels);

}  // namespace striate
