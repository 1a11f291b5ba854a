#pragma once

#include <ATen/core/Tensor.h>

#include "striate/graph/ops.h"

namespace striate {

/// Whether a convolution, a ReLU and a max-pooling can run as one: few channels, as in LeNet-5.
/// @param input  the convolution's, without the batch: (C, H, W).
bool can_convolve_and_pool(const Conv2d& conv, const MaxPool2d& pool, const Shape& input);
/// Max-pooling of relu(conv(input)), with gradients. (N, C, H, W) float32 in the processor's
/// memory, channels last; the same bits for any number of threads. Error: within 1e-6 (relative to
/// the largest value) of float64.
at::Tensor convolve_and_pool(const Conv2d& conv, const MaxPool2d& pool, const at::Tensor& input,
                             const at::Tensor& weight, const at::Tensor& bias);

}  // namespace striate
