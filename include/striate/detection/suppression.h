#pragma once

#include <ATen/core/Tensor.h>

namespace striate {

/// Non-maximum suppression: from the highest score down, a box stays unless it shares more than
/// `threshold` of the union with one that stayed. Of equal scores the first one counts as higher.
/// @param boxes   (N, 4) float32 or float64
/// @param scores  (N)
/// @return        indices of those that stay, by falling score, int64
/// Source: girshick2014, 2.
at::Tensor suppress_overlaps(const at::Tensor& boxes, const at::Tensor& scores, double threshold);

/// Likewise, where only boxes of one group suppress each other. @param groups  (N) int64
at::Tensor suppress_overlaps(const at::Tensor& boxes, const at::Tensor& scores,
                             const at::Tensor& groups, double threshold);

}  // namespace striate
