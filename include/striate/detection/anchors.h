#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "striate/graph/ops.h"

namespace striate {

/// The boxes that a proposal network starts from, at every place of its feature maps.
struct AnchorOptions {
  std::vector<std::vector<double>> sizes;           ///< for each map: square roots of areas, pixels
  std::vector<double> aspect_ratios = {0.5, 1, 2};  ///< height over width

  int64_t per_place(size_t map) const {
    return static_cast<int64_t>(sizes.at(map).size() * aspect_ratios.size());
  }
};

/// The anchors of one place, around (0, 0), in whole pixels: (A, 4) float32, by aspect ratio and
/// then by size.
at::Tensor anchors_of_place(const std::vector<double>& sizes, const std::vector<double>& ratios);

/// The anchors of one feature map, by row, column and then as `anchors_of_place` has them:
/// (H W A, 4). Neighbours are image size / map size pixels apart, rounded down.
/// @param map, image  their heights and widths
/// Source: ren2015, 3.1.1.
at::Tensor anchors_of_map(const at::Tensor& of_place, const Size2& map, const Size2& image);

}  // namespace striate
