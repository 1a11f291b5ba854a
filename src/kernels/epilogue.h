#pragma once

#include <cstdint>

namespace striate::kernels {

/// What becomes of a convolution's sums before they are stored: + bias, + residual, max(…, 0).
struct Epilogue {
  const float* bias = nullptr;      ///< for each output channel, or null
  const float* residual = nullptr;  ///< a value for each output, or null
  int64_t residual_stride = 0;      ///< floats from one pixel's to the next one's
  bool relu = false;
};

}  // namespace striate::kernels
