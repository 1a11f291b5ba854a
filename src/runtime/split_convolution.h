#pragma once

#include <ATen/core/Tensor.h>

#include "striate/graph/ops.h"

namespace striate {

/// Whether a convolution is one that the processor's matrix tiles compute faster (see
/// kernels/split_convolution.h): without groups, of images (N, C, H, W) with many outputs, float32
/// and in the processor's memory, by a weight (K, C, kernel_height, kernel_width) of float32.
bool can_be_split(const Conv2d& conv, const at::Tensor& input, const at::Tensor& weight);

/// Such a convolution, as at::conv2d, in channels last, with first derivatives. Outputs, the
/// weight's gradient and, with a stride of 1, the input's are computed on tiles, outputs of 3x3
/// kernels by Winograd's algorithm where that pays: the same bits for any number of threads. The
/// gradients of strided inputs and of the bias are LibTorch's.
/// Error: outputs within 2e-6 (relative, Winograd's 5e-6) of float64, gradients within 6e-6.
/// @param bias  (K), or undefined
at::Tensor split_convolution(const Conv2d& conv, const at::Tensor& input, const at::Tensor& weight,
                             const at::Tensor& bias);

}  // namespace striate
