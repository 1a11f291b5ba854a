#pragma once

#include <cstdint>

namespace striate::kernels {

/// Convolution by 3x3 kernels in groups of few channels, as many out of a group as into it
/// (xie2017). Images are channels last, float32; kernels (channels, 3, 3, group_channels), as a
/// channels-last weight of PyTorch lies in memory. Every function works on a part of the whole, so
/// that the caller decides on threads; the parts' results do not depend on how they are cut.
struct GroupedShape {
  int64_t batch;
  int64_t height;  ///< of the input
  int64_t width;
  int64_t channels;
  int64_t group_channels;  ///< a power of two, 4 or more
  int64_t stride;          ///< 1 or 2
  int64_t pad_height;      ///< 0 or 1
  int64_t pad_width;

  int64_t out_height() const { return (height + 2 * pad_height - 3) / stride + 1; }
  int64_t out_width() const { return (width + 2 * pad_width - 3) / stride + 1; }
  int64_t out_rows() const { return batch * out_height(); }
};

/// Channels are worked on in units of whole groups and whole vectors; their number depends on the
/// processor.
int64_t grouped_units(const GroupedShape& shape);
/// Floats of packed kernels; also doubles of a sum of their gradients.
int64_t grouped_packed_size(const GroupedShape& shape);
/// Floats that convolving, forwards or backwards, needs to work in.
int64_t grouped_scratch_size(const GroupedShape& shape);

/// What kernels are packed for.
enum class GroupedUse {
  kOutput,         ///< convolution
  kInputGradient,  ///< the gradient of its input
};

/// The kernels of units [unit_begin, unit_end), one vector of output channels after the other.
void grouped_pack(GroupedUse use, const GroupedShape& shape, const float* kernels, float* packed,
                  int64_t unit_begin, int64_t unit_end);

/// What is done to outputs before they are stored.
struct GroupedEpilogue {
  const float* bias = nullptr;  ///< one for each channel, or null
  bool relu = false;
};
/// Rows [row_begin, row_end) of all images' outputs, of which there are batch * out_height.
void grouped_convolve(const GroupedShape& shape, const float* input, const float* packed,
                      const GroupedEpilogue& epilogue, float* output, int64_t row_begin,
                      int64_t row_end, float* scratch);
/// Rows [row_begin, row_end) of the input's gradient, of which there are batch * height.
/// @param packed  for kInputGradient.
void grouped_input_gradient(const GroupedShape& shape, const float* gradient, const float* packed,
                            float* input_gradient, int64_t row_begin, int64_t row_end,
                            float* scratch);

/// Floats that adding up the kernels' gradient needs to work in.
int64_t grouped_kernel_gradient_scratch_size(const GroupedShape& shape);
/// A part of the sum that is the kernels' gradient.
struct GroupedPart {
  int64_t row_begin;  ///< of the outputs of all images
  int64_t row_end;
  int64_t unit_begin;
  int64_t unit_end;
};
/// Adds a part's products to its units' sums. Products of some hundred pixels are added in float32,
/// and these in float64, in an order that depends on `row_begin` alone.
void grouped_add_kernel_gradient(const GroupedShape& shape, const float* input,
                                 const float* gradient, const GroupedPart& part, double* sums,
                                 float* scratch);
/// The gradient of the kernels of units [unit_begin, unit_end), as the kernels lie: the total of
/// `count` sums, which lie one behind the other.
void grouped_finish_kernel_gradient(const GroupedShape& shape, const double* sums, int64_t count,
                                    float* gradient, int64_t unit_begin, int64_t unit_end);

}  // namespace striate::kernels
