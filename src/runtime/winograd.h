#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/direct_convolution.h"
#include "kernels/winograd.h"
#include "striate/graph/ops.h"

namespace striate {

/// What reading kernels costs: training transforms them anew in each step.
enum class WinogradKernels { kPackedEachTime, kPackedOnce };

/// Whether Winograd's algorithm can compute a convolution.
bool winograd_fits(const Conv2d& conv);
/// Of a convolution that it fits.
kernels::WinogradShape winograd_shape(const kernels::ConvolutionShape& shape);
/// What a direct convolution's products are, which Winograd's algorithm would spare.
enum class DirectProducts { kFloat32, kBFloat16, kSplit };
/// Whether Winograd's algorithm, in float32, is expected to be faster than a direct convolution of
/// such products.
bool winograd_pays(const kernels::WinogradShape& shape, WinogradKernels kernels,
                   DirectProducts products);

/// Kernels transformed by all threads.
/// @param weight  (out, in, 3, 3) float32, channels last
/// @param scale   (out) float32, multiplies them; or undefined
at::Tensor winograd_pack(kernels::KernelUse use, const at::Tensor& weight,
                         const at::Tensor& scale = {});
/// All outputs, by all threads; the same bits for any number of them.
/// T: float or kernels::BFloat16.
template <typename T>
void winograd_convolve(const kernels::WinogradShape& shape,
                       const kernels::WinogradConvolution<T>& convolution);
/// The same as a tensor, (N, out_channels, h, w) in channels last and the input's type.
/// @param input   float32 or bfloat16, channels last
/// @param packed  by `winograd_pack`
/// @param bias    (out_channels) float32, or undefined
at::Tensor winograd_output(const kernels::WinogradShape& shape, const at::Tensor& input,
                           const at::Tensor& packed, const at::Tensor& bias);
/// The gradient of the kernels, (out, in, 3, 3) float32, channels last. Likewise.
/// @param input, gradient  both float32 or both bfloat16.
at::Tensor winograd_weight_gradient(const kernels::WinogradShape& shape, const at::Tensor& input,
                                    const at::Tensor& gradient);

}  // namespace striate
