#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

#include "striate/detection/box.h"
#include "striate/image/image.h"

namespace striate {

/// What the four numbers of a box's code are multiplied by: x, y, width, height.
using CodeWeights = std::array<double, 4>;
constexpr CodeWeights kPlainCode = {1, 1, 1, 1};
constexpr CodeWeights kHeadCode = {10, 10, 5, 5};  ///< of the second stage, as published

/// Boxes as rows x1, y1, x2, y2: (N, 4) float32.
at::Tensor box_tensor(const std::vector<Box>& boxes);

/// What moves anchors onto boxes: the shift of the centre by the anchor's size, and the logarithm
/// of how much larger a side is.
/// @param boxes, anchors  (N, 4)    @return  (N, 4)
/// Source: girshick2014, C, eqs. 6-9; ren2015, eq. 2.
at::Tensor encode_boxes(const at::Tensor& boxes, const at::Tensor& anchors,
                        const CodeWeights& weights);
/// The boxes that codes make of anchors. A side becomes at most 62.5 times longer.
/// @param codes  (N, 4 K)    @param anchors  (N, 4)    @return  (N, K, 4)
at::Tensor decode_boxes(const at::Tensor& codes, const at::Tensor& anchors,
                        const CodeWeights& weights);

/// What of boxes lies inside an image. @param boxes  (…, 4)
at::Tensor clip_boxes(const at::Tensor& boxes, const ImageSize& size);
/// Indices (K) of the boxes (N, 4) whose sides are both at least so long.
at::Tensor large_boxes(const at::Tensor& boxes, double least_side);

/// Intersection over union of each pair. @param a  (M, 4)   @param b  (N, 4)   @return  (M, N)
at::Tensor box_overlaps(const at::Tensor& a, const at::Tensor& b);

}  // namespace striate
