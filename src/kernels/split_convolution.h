#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"
#include "kernels/convolution_kernels.h"
#include "kernels/direct_convolution.h"

namespace striate::kernels {

// Convolutions of float32 on the processor's matrix tiles, which multiply bfloat16: each factor is
// the sum of two bfloat16 numbers, together 16 to 17 significant bits, and the products of first
// and first, first and second, second and first parts are added in float32 ("bf16x2"). Error:
// within 6e-6 (relative to the root of the mean square) of float64; what is not finite makes
// outputs that are not a number.

/// Whether the processor has such tiles; all below needs them.
bool splits_products();

/// Numbers of packed kernels.
int64_t split_packed_size(const ConvolutionShape& shape);
/// As `direct_pack`.
void split_pack(const ConvolutionShape& shape, const ConvolutionKernels& kernels, BFloat16* packed,
                int64_t panel_begin, int64_t panel_end);

/// Numbers of scratch memory that `split_convolve` needs.
int64_t split_scratch_size(const ConvolutionShape& shape);
/// As `direct_convolve`.
/// @param convolution  all but what is packed
/// @param packed       by `split_pack`
void split_convolve(const ConvolutionShape& shape, const DirectConvolution<float>& convolution,
                    const BFloat16* packed, int64_t row_begin, int64_t row_end, int64_t panel_begin,
                    int64_t panel_end, BFloat16* scratch);

}  // namespace striate::kernels
