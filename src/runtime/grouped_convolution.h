#pragma once

#include <ATen/core/Tensor.h>

#include "striate/graph/ops.h"

namespace striate {

/// Whether a convolution is of the kind that is computed here: 3x3 kernels of stride 1 or 2, padded
/// by at most 1, in groups of 4, 8, 16 or 32 channels into which as many come as out of them; and
/// its input (N, C, H, W) is not empty, float32 and in the processor's memory.
bool can_be_grouped(const Conv2d& conv, const at::Tensor& input);

/// Such a convolution, as at::conv2d, in channels last, with first derivatives. The same bits for
/// any number of threads.
/// @param weight  (C, C / groups, 3, 3)
/// @param bias    (C), or undefined
/// Error: within 5e-6 (relative to the root of the mean square) of float64.
at::Tensor grouped_convolution(const Conv2d& conv, const at::Tensor& input,
                               const at::Tensor& weight, const at::Tensor& bias);

/// A weight (C, C / groups, 3, 3), float32, as `grouped_convolve` reads it; it holds on this
/// processor only.
at::Tensor pack_grouped(const Conv2d& conv, const at::Tensor& weight);
/// What `grouped_convolve` takes beside its input.
struct GroupedInference {
  at::Tensor packed;     ///< from `pack_grouped`
  at::Tensor bias = {};  ///< (C) float32, contiguous; or undefined
  bool relu = false;     ///< whether what is below zero becomes zero
};
/// Such a convolution of a packed weight, and what follows it, without gradients.
/// @param input  (N, C, H, W), of which `can_be_grouped` holds.
/// @return       (N, C, h, w) in channels last.
at::Tensor grouped_convolve(const Conv2d& conv, const at::Tensor& input,
                            const GroupedInference& inference);

}  // namespace striate
