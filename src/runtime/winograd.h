#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/winograd.h"

namespace striate {

/// What reading kernels costs: training transforms them anew in each step.
enum class WinogradKernels { kPackedEachTime, kPackedOnce };

/// Whether Winograd's algorithm is expected to be faster than a direct convolution.
bool winograd_pays(const kernels::WinogradShape& shape, WinogradKernels kernels);

/// Kernels transformed by all threads. @param weight  (out, in, 3, 3), channels last.
at::Tensor winograd_pack(kernels::WinogradUse use, const at::Tensor& weight);
/// All outputs, by all threads; the same bits for any number of them.
void winograd_convolve(const kernels::WinogradShape& shape,
                       const kernels::WinogradConvolution& convolution);
/// The gradient of the kernels, (out, in, 3, 3), channels last. Likewise.
at::Tensor winograd_weight_gradient(const kernels::WinogradShape& shape, const at::Tensor& input,
                                    const at::Tensor& gradient);

}  // namespace striate
