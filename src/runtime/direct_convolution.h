#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/direct_convolution.h"
#include "striate/graph/ops.h"

namespace striate {

/// A convolution without groups of images (N, C, H, W).
kernels::ConvolutionShape direct_shape(const Conv2d& conv, const at::Tensor& images);

/// Kernels as `direct_convolve` reads them, by all threads; they hold on this processor only.
/// T: float or kernels::BFloat16.
/// @param shape   of the convolution; for kInputGradient, of the one that takes the output's
/// gradient
/// @param weight  (out, in, kernel_height, kernel_width) float32, channels last
/// @param scale   (out) float32, multiplies them; or undefined
template <typename T>
at::Tensor direct_pack(kernels::KernelUse use, const kernels::ConvolutionShape& shape,
                       const at::Tensor& weight, const at::Tensor& scale = {});
/// All outputs, by all threads; the same bits for any number of them.
template <typename T>
void direct_convolve(const kernels::ConvolutionShape& shape,
                     const kernels::DirectConvolution<T>& convolution);

/// Whether a float32 convolution on the processor's matrix tiles (see kernels/split_convolution.h)
/// is expected to be faster than others.
bool split_pays(const kernels::ConvolutionShape& shape);
/// As `direct_pack`, for `split_convolve`: (values) bfloat16.
at::Tensor split_pack(kernels::KernelUse use, const kernels::ConvolutionShape& shape,
                      const at::Tensor& weight, const at::Tensor& scale = {});
/// As `direct_convolve`.
/// @param convolution  all but what is packed
void split_convolve(kernels::KernelUse use, const kernels::ConvolutionShape& shape,
                    const kernels::DirectConvolution<float>& convolution, const at::Tensor& packed);

}  // namespace striate
