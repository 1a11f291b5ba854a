#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/direct_convolution.h"
#include "kernels/winograd.h"
#include "striate/graph/ops.h"
#include "striate/runtime/execution.h"

namespace striate {

/// What reading kernels costs: training transforms them anew in each step.
enum class WinogradKernels { kPackedEachTime, kPackedOnce };

/// Whether Winograd's algorithm can compute a convolution.
bool winograd_fits(const Conv2d& conv);
/// Of a convolution that it fits.
kernels::WinogradShape winograd_shape(const kernels::ConvolutionShape& shape);
/// Whether Winograd's algorithm, in float32, is expected to be faster than a direct convolution in
/// this precision.
bool winograd_pays(const kernels::WinogradShape& shape, WinogradKernels kernels,
                   Precision precision);

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
/// The gradient of the kernels, (out, in, 3, 3) float32, channels last. Likewise.
/// @param input, gradient  both float32 or both bfloat16.
at::Tensor winograd_weight_gradient(const kernels::WinogradShape& shape, const at::Tensor& input,
                                    const at::Tensor& gradient);

}  // namespace striate
