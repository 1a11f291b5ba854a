#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"
#include "kernels/convolution_kernels.h"
#include "kernels/direct_convolution.h"

namespace striate::kernels {

// Convolutions of float32 on the processor's matrix tiles, which multiply bfloat16: each factor is
// the sum of bfloat16 numbers, its parts, whose products are added in float32.
// * For outputs of three parts, which hold all of float32's significant bits, in six products
//   ("bf16x3"). Error: within 2e-6 (relative to the root of the mean square) of float64.
// * For the gradient of inputs of two parts, which hold 16 to 17 bits, in three products
// ("bf16x2").
//   Error: likewise 6e-6.
// What is not finite makes results that are not a number, also of outputs near it in its image.

/// Whether the processor has such tiles; all below needs them.
bool splits_products();

/// Numbers of packed kernels.
int64_t split_packed_size(KernelUse use, const ConvolutionShape& shape);
/// As `direct_pack`.
void split_pack(const ConvolutionShape& shape, const ConvolutionKernels& kernels, BFloat16* packed,
                int64_t panel_begin, int64_t panel_end);

/// Numbers of scratch memory that `split_convolve` needs.
int64_t split_scratch_size(KernelUse use, const ConvolutionShape& shape);
/// As `direct_convolve`.
/// @param convolution  all but what is packed
/// @param packed       by `split_pack`
void split_convolve(KernelUse use, const ConvolutionShape& shape,
                    const DirectConvolution<float>& convolution, const BFloat16* packed,
                    int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end,
                    BFloat16* scratch);

}  // namespace striate::kernels
