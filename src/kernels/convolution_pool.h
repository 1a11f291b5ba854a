#pragma once

#include <cstdint>

namespace striate::kernels {

/// A convolution of stride 1 with few channels, a ReLU and a max-pooling behind it, as one: the
/// convolution's values stay in the cache, and as one value of each window passes the pooling, the
/// gradients are sums over those alone. Images are channels-last float32; every function works on
/// one image, so that the caller decides on threads.
struct ConvPoolShape {
  int64_t in_channels = 1;  ///< see `conv_pool_fits`
  int64_t height = 0;       ///< of the image
  int64_t width = 0;
  int64_t out_channels = 0;
  int64_t kernel = 0;   ///< height and width; 3 or 5
  int64_t padding = 0;  ///< of the convolution
  int64_t pool = 0;     ///< height and width of a window
  int64_t pool_stride = 0;

  int64_t conv_height() const { return height + 2 * padding - kernel + 1; }
  int64_t conv_width() const { return width + 2 * padding - kernel + 1; }
  int64_t out_height() const { return (conv_height() - pool) / pool_stride + 1; }
  int64_t out_width() const { return (conv_width() - pool) / pool_stride + 1; }
};

/// Whether the functions below are made for these sizes: few channels on both sides.
bool conv_pool_fits(const ConvPoolShape& shape);

/// Floats that the packed kernels take, and those that a call may scribble on.
int64_t conv_pool_packed_size(const ConvPoolShape& shape);
int64_t conv_pool_scratch_size(const ConvPoolShape& shape);

/// @param weight  (out_channels, kernel, kernel, in_channels).
/// @param bias    (out_channels), or null for zeros.
void conv_pool_pack(const ConvPoolShape& shape, const float* weight, const float* bias,
                    float* packed);
/// @param output  (out_height, out_width, out_channels).
/// @param winners  likewise: where each window's largest value comes from, for `gradients`; -1
/// where
///                 the ReLU is shut. Of equal values it is the first.
void conv_pool_forward(const ConvPoolShape& shape, const float* image, const float* packed,
                       float* output, int32_t* winners, float* scratch);

/// Of the packed form, too: (out_channels, kernel, a padded row of kernel and channels).
int64_t conv_pool_sums_size(const ConvPoolShape& shape);
struct ConvPoolGradients {
  const float* image;
  const float* gradient;   ///< of the output
  const int32_t* winners;  ///< of `conv_pool_forward`
  const float* packed;
  float* weight_sums;     ///< of `conv_pool_sums_size`, added to
  float* bias_sums;       ///< (out_channels), added to
  float* image_gradient;  ///< (height, width, in_channels), or null
};
void conv_pool_gradients(const ConvPoolShape& shape, const ConvPoolGradients& to, float* scratch);
/// Weights' gradient from its sums: (out_channels, kernel, kernel, in_channels).
void conv_pool_finish(const ConvPoolShape& shape, const float* weight_sums, float* weight_gradient);

}  // namespace striate::kernels
