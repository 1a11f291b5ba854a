#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"

namespace striate::kernels {

/// What becomes of a convolution's sums before they are stored: + bias, + residual, max(…, 0), and
/// 0 where the gate is not above 0, as a ReLU's gradient.
/// T: float or BFloat16.
template <typename T>
struct Epilogue {
  const float* bias = nullptr;  ///< for each output channel, or null
  const T* residual = nullptr;  ///< a value for each output, or null; may be the outputs' memory
  int64_t residual_stride = 0;  ///< values from one pixel's to the next one's
  bool relu = false;
  const T* gate = nullptr;  ///< a value for each output, or null
  int64_t gate_stride = 0;
};

}  // namespace striate::kernels
