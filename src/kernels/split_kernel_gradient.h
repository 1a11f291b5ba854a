#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"
#include "kernels/direct_convolution.h"

namespace striate::kernels {

// The gradient of a convolution's kernels on the processor's matrix tiles, of
// two parts as in split_convolution.h: a sum over output pixels, which are taken in chunks. Of a
// chunk, the outputs' gradients and the inputs under the kernel are packed, and their products
// added. Error: within 6e-6 (relative to the root of the mean square) of float64.

/// Output pixels of a chunk; the last one may have fewer.
int64_t split_chunk(const ConvolutionShape& shape);
/// Pixels are packed in slices of so many.
int64_t split_slice();
/// Numbers of a whole chunk's packed gradients, and of its packed inputs.
int64_t split_gradients_size(const ConvolutionShape& shape);
int64_t split_inputs_size(const ConvolutionShape& shape);
/// Floats that packing inputs needs to work in.
int64_t split_gradient_scratch_size();

/// Some slices of a chunk.
struct SplitSlices {
  int64_t first_pixel;  ///< of the chunk
  int64_t last_pixel;
  int64_t begin;
  int64_t end;
};
/// @param gradient  of the outputs, (pixels, out_channels)
void split_pack_gradients(const ConvolutionShape& shape, const float* gradient,
                          const SplitSlices& slices, BFloat16* packed);
/// @param input  (batch, height, width, in_channels)
void split_pack_inputs(const ConvolutionShape& shape, const float* input, const SplitSlices& slices,
                       BFloat16* packed, float* scratch);

/// Parts that `split_add_kernel_gradient` can take by themselves.
int64_t split_gradient_parts(const ConvolutionShape& shape);
/// Adds the products of a chunk of so many pixels.
/// @param kernel_gradient  (out_channels, kernel_height, kernel_width, in_channels)
void split_add_kernel_gradient(const ConvolutionShape& shape, const BFloat16* gradients,
                               const BFloat16* inputs, int64_t pixels, float* kernel_gradient,
                               int64_t part_begin, int64_t part_end);

}  // namespace striate::kernels
