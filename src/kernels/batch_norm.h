#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"

namespace striate::kernels {

/// Batch-norm over channels-last values: (rows, channels), T is float or BFloat16, a row for each
/// pixel of each image. Together with an added shortcut and a ReLU it passes over memory twice
/// forward and twice backward (ioffe2015, Algorithm 1 and section 3). Every function works on some
/// rows, so that the caller decides on threads.

/// The mean and the sum of squared deviations of some rows, for each channel. Two passes over rows
/// that should fit into the cache.
template <typename T>
void norm_statistics(const T* x, int64_t rows, int64_t channels, float* mean,
                     float* squared_deviations);

/// y = x * scale + shift (+ residual), then (when `relu`) max(y, 0). `y` may be `x`.
template <typename T>
struct NormApply {
  const T* x;
  const T* residual;   ///< or null
  const float* scale;  ///< for each channel
  const float* shift;
  bool relu;
  T* y;
};
template <typename T>
void norm_apply(const NormApply<T>& norm, int64_t rows, int64_t channels);

/// What the gradients need: `output` is the ReLU's, or null where there was none.
template <typename T>
struct NormGradient {
  const T* gradient;  ///< of the output
  const T* output;
  const T* x;
  const float* mean;
};
/// sums = sum of g, products = sum of g (x - mean), for each channel; g is `gradient` where the
/// output is above 0.
template <typename T>
void norm_reduce_gradient(const NormGradient<T>& norm, int64_t rows, int64_t channels, float* sums,
                          float* products);
/// input_gradient = (g - offset - (x - mean) * slope) * scale; residual_gradient (or null) = g.
template <typename T>
struct NormInputGradient {
  const float* scale;  ///< for each channel
  const float* offset;
  const float* slope;
  T* input_gradient;
  T* residual_gradient;
};
template <typename T>
void norm_input_gradient(const NormGradient<T>& norm, const NormInputGradient<T>& to, int64_t rows,
                         int64_t channels);

}  // namespace striate::kernels
