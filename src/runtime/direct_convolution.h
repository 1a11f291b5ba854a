#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/direct_convolution.h"
#include "striate/graph/ops.h"

namespace striate {

/// A convolution without groups of images (N, C, H, W).
kernels::ConvolutionShape direct_shape(const Conv2d& conv, const at::Tensor& images);

/// Kernels as `direct_convolve` reads them, by all threads; they hold on this processor only.
/// T: float or kernels::BFloat16.
/// @param kernels  (out, kernel_height, kernel_width, in) float32
/// @param scale    (out) float32, multiplies them; or undefined
template <typename T>
at::Tensor direct_pack(const kernels::ConvolutionShape& shape, const at::Tensor& kernels,
                       const at::Tensor& scale);
/// All outputs, by all threads; the same bits for any number of them.
template <typename T>
void direct_convolve(const kernels::ConvolutionShape& shape,
                     const kernels::DirectConvolution<T>& convolution);

}  // namespace striate
