#pragma once

#include <cstdint>

namespace striate::kernels {

/// Pixels of an image that is channels last, float32.
struct Window {
  const float* first;
  int64_t rows;
  int64_t columns;
  int64_t row_stride;     ///< floats from one row to the next
  int64_t column_stride;  ///< floats from one pixel to the next
};

/// The largest value of each channel; the window is not empty.
void window_maximum(const Window& window, int64_t channels, float* to);
/// The sum of each channel, times a factor.
void window_sum(const Window& window, int64_t channels, float factor, float* to);

}  // namespace striate::kernels
