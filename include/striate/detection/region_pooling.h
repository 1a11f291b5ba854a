#pragma once

#include <ATen/core/Tensor.h>

#include "striate/graph/ops.h"

namespace striate {

/// How regions of feature maps become grids of one size.
struct RegionPooling {
  Size2 size = 7;    ///< of the grid
  double scale = 1;  ///< values of the map for each pixel of the image: 1/16
  /// RoI align: samples along a side of a bin; 0: as many as the bin has values of the map.
  int64_t sampling_ratio = 0;
  /// RoI align: whether values lie in the middle of their pixels (half a pixel is taken off).
  bool aligned = false;
};

/// RoI align: the mean of bilinear samples in each bin, with the gradient of the maps.
/// On the processor; the same bits for any number of threads.
/// @param maps     (N, C, H, W) float32 or float64
/// @param regions  (R, 5) of their type: index of the map, x1, y1, x2, y2 in pixels; finite
/// @return         (R, C, h, w), channels last
/// @throws ShapeError  other shapes; std::invalid_argument  a region of no map, or not finite.
/// Error: within 1e-5 (relative) of the double-precision result.
/// Source: he2017, 3.
at::Tensor roi_align(const at::Tensor& maps, const at::Tensor& regions,
                     const RegionPooling& pooling);

/// RoI pooling: the largest value of each bin, whose edges are whole values of the map; 0 of an
/// empty one. Parameters as of `roi_align`.
/// Source: girshick2015, 2.1.
at::Tensor roi_pool(const at::Tensor& maps, const at::Tensor& regions,
                    const RegionPooling& pooling);

}  // namespace striate
