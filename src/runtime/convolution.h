#pragma once

#include <ATen/core/Tensor.h>

#include "striate/graph/ops.h"
#include "striate/runtime/execution.h"

namespace striate {

/// A convolution as at::conv2d, with gradients; where the algorithm allows, images and kernels are
/// float32 in the processor's memory and channels last, and it pays, on matrix tiles (see
/// split_convolution.h) or by Winograd's F(4x4, 3x3). By Winograd's each of output, input's
/// gradient and weight's gradient is chosen by itself, from sizes alone. A convolution in groups of
/// few channels runs on kernels of ours (see grouped_convolution.h). Images may be bfloat16 beside
/// weights of float32: then outputs and the images' gradients are bfloat16, weights' gradients
/// float32. Error: Winograd's within 5e-6 (relative to the largest output) of float64, at::conv2d's
/// 1e-6, on tiles 2e-6 and gradients 6e-6. Source: lavin2016.
at::Tensor convolve(const Conv2d& conv, ConvolutionAlgorithm algorithm, const at::Tensor& input,
                    const at::Tensor& weight, const at::Tensor& bias);

}  // namespace striate
