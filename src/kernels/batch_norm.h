#pragma once

#include <cstdint>

namespace striate::kernels {

/// Batch-norm over channels-last values: (rows, channels) float32, a row for each pixel of each
/// image. Together with an added shortcut and a ReLU it passes over memory twice forward and twice
/// backward (ioffe2015, Algorithm 1 and section 3). Every function works on some rows, so that the
/// caller decides on threads.

/// The mean and the sum of squared deviations of some rows, for each channel. Two passes over rows
/// that should fit into the cache.
void norm_statistics(const float* x, int64_t rows, int64_t channels, float* mean,
                     float* squared_deviations);

/// y = x * scale + shift (+ residual), then (when `relu`) max(y, 0). `y` may be `x`.
struct NormApply {
  const float* x;
  const float* residual;  ///< or null
  const float* scale;     ///< for each channel
  const float* shift;
  bool relu;
  float* y;
};
void norm_apply(const NormApply& norm, int64_t rows, int64_t channels);

/// What the gradients need: `output` is the ReLU's, or null where there was none.
struct NormGradient {
  const float* gradient;  ///< of the output
  const float* output;
  const float* x;
  const float* mean;
};
/// sums = sum of g, products = sum of g (x - mean), for each channel; g is `gradient` where the
/// output is above 0.
void norm_reduce_gradient(const NormGradient& norm, int64_t rows, int64_t channels, float* sums,
                          float* products);
/// input_gradient = (g - offset - (x - mean) * slope) * scale; residual_gradient (or null) = g.
struct NormInputGradient {
  const float* scale;  ///< for each channel
  const float* offset;
  const float* slope;
  float* input_gradient;
  float* residual_gradient;
};
void norm_input_gradient(const NormGradient& norm, const NormInputGradient& to, int64_t rows,
                         int64_t channels);

}  // namespace striate::kernels
