#pragma once

#include <ATen/core/Tensor.h>

#include "striate/graph/ops.h"

namespace striate {

/// Whether a convolution is one that the processor's matrix tiles compute faster (see
/// kernels/split_convolution.h): without groups, of images (N, C, H, W) that are not empty, float32
/// and in the processor's memory, and by a weight of float32.
bool can_be_split(const Conv2d& conv, const at::Tensor& input, const at::Tensor& weight);

/// Such a convolution, as at::conv2d, in channels last, with first derivatives; outputs and, with a
/// stride of 1, the input's gradient are computed on tiles. The same bits for any number of
/// threads.
/// @param weight  (K, C, kernel_height, kernel_width)
/// @param bias    (K), or undefined
/// Error: outputs within 2e-6 (relative, Winograd's 5e-6) of float64, gradients within 6e-6.
at::Tensor split_convolution(const Conv2d& conv, const at::Tensor& input, const at::Tensor& weight,
                             const at::Tensor& bias);

}  // namespace striate
