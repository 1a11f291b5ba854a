#pragma once

#include <ATen/core/Tensor.h>

#include "striate/graph/ops.h"

namespace striate {

/// Whether a convolution reads images of few channels. LibTorch's kernels compute their gradient
/// for 16 channels at once.
bool reads_images(const Conv2d& conv, int64_t in_channels);
/// The gradient of such images, as `convolve_images` computes it.
/// @param images    the size of them, (N, C, H, W)
/// @param gradient  of the outputs, (N, K, h, w) float32, channels last
/// @param weight    (K, C, kernel_height, kernel_width) float32
at::Tensor image_gradient(const Conv2d& conv, at::IntArrayRef images, const at::Tensor& gradient,
                          const at::Tensor& weight);

/// Whether a convolution reads images, on the processor, float32 and channels last, and their
/// gradient is wanted.
bool wants_image_gradient(const Conv2d& conv, const at::Tensor& input);

/// A convolution as at::conv2d, whose gradient with respect to the images is a matrix product for
/// each band of rows: each output's part in its window, which is added where the window lies.
/// Other values and gradients are LibTorch's. The same bits for any number of threads.
/// Error: within 1e-6 (relative to the largest value) of float64.
at::Tensor convolve_images(const Conv2d& conv, const at::Tensor& input, const at::Tensor& weight,
                           const at::Tensor& bias);

}  // namespace striate
