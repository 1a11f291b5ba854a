#pragma once

#include <cstdint>

#include "kernels/convolution_kernels.h"
#include "kernels/epilogue.h"

namespace striate::kernels {

/// A convolution as a matrix product: a row for each output pixel holds the inputs under the
/// kernel. Images are channels last; T is float, or BFloat16
/// with sums in float32. A linear layer is one of 1x1
/// kernels on images of one pixel.
struct ConvolutionShape {
  int64_t batch;
  int64_t height;  ///< of the input
  int64_t width;
  int64_t in_channels;
  int64_t out_channels;
  int64_t kernel_height = 1;
  int64_t kernel_width = 1;
  int64_t stride_height = 1;
  int64_t stride_width = 1;
  int64_t pad_height = 0;
  int64_t pad_width = 0;
  int64_t dilation_height = 1;
  int64_t dilation_width = 1;

  int64_t out_height() const {
    return (height + 2 * pad_height - dilation_height * (kernel_height - 1) - 1) / stride_height +
           1;
  }
  int64_t out_width() const {
    return (width + 2 * pad_width - dilation_width * (kernel_width - 1) - 1) / stride_width + 1;
  }
  int64_t rows() const { return batch * out_height() * out_width(); }
  /// Products of an output.
  int64_t length() const { return kernel_height * kernel_width * in_channels; }
  bool is_pointwise() const { return kernel_height == 1 && kernel_width == 1; }
};

/// Output channels are packed in panels of this many; it depends on the processor.
int64_t direct_panel();
/// Values of packed kernels.
template <typename T>
int64_t direct_packed_size(const ConvolutionShape& shape);
/// For the gradient of an input, `shape` describes the convolution of the output's gradient by
/// kernels (in_channels, height, width, out_channels); the layer's stride was 1, and its padding
/// dilation * (kernel - 1) minus the shape's.
template <typename T>
void direct_pack(const ConvolutionShape& shape, const ConvolutionKernels& kernels, T* packed,
                 int64_t panel_begin, int64_t panel_end);

template <typename T>
struct DirectConvolution {
  const T* input;
  int64_t input_stride;          ///< values from one pixel to the next; at least in_channels
  const float* scale = nullptr;  ///< kernels of 1x1: inputs are max(x * scale + shift, 0) first
  const float* shift = nullptr;  ///< for each input channel
  const T* packed;
  Epilogue<T> epilogue;
  T* output;
  int64_t output_stride;
};
/// Values of scratch memory that `direct_convolve` needs.
template <typename T>
int64_t direct_scratch_size(const ConvolutionShape& shape);
/// Output pixels [row_begin, row_end) of the output channels in panels [panel_begin, panel_end).
template <typename T>
void direct_convolve(const ConvolutionShape& shape, const DirectConvolution<T>& convolution,
                     int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end,
                     T* scratch);

}  // namespace striate::kernels
