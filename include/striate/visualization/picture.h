#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "striate/image/image.h"

namespace striate {

// Numbers as pictures. Tensors are float, of any device. @throws ShapeError  another shape.

/// (C, H, W) pixels in [0, 1], C of 1 or 3; what lies outside is cut.
Image pixel_picture(const at::Tensor& pixels);
/// (C, H, W) signed numbers, zero as middle grey; C of 1 or 3. The 1 % of the largest sizes are
/// cut, so that a few do not hide the rest.
Image signed_picture(const at::Tensor& values);
/// (H, W) signed numbers: blue below zero, white at it, red above; cut likewise.
Image diverging_picture(const at::Tensor& map);
/// (H, W) numbers from their least, dark violet, to their largest, yellow; cut likewise.
Image heat_picture(const at::Tensor& map);
/// A heat picture whose opacity grows with the value, to lie over a photo: RGBA.
Image heat_overlay(const at::Tensor& map);
/// A picture with an RGBA picture of the same size over it.
Image blend(const Image& picture, const Image& overlay);

/// One number of each pixel of a gradient (C, H, W): the largest size of its channels
/// (simonyan2014, 3.1). (H, W)
at::Tensor pixel_strength(const at::Tensor& gradient);

struct GridOptions {
  int64_t columns = 0;  ///< 0: about as many as rows
  int64_t enlarge = 1;  ///< each pixel becomes a square of this side
  int64_t gap = 1;      ///< pixels between pictures
};
/// Pictures of one size and number of channels, row by row, on white.
/// @throws std::invalid_argument  there are none, or they differ.
Image picture_grid(const std::vector<Image>& pictures, const GridOptions& options = {});

}  // namespace striate
