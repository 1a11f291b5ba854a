#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"

namespace striate::kernels {

/// Pixels of an image that is channels last; T is float or BFloat16.
template <typename T>
struct Window {
  const T* first;
  int64_t rows;
  int64_t columns;
  int64_t row_stride;     ///< values from one row to the next
  int64_t column_stride;  ///< values from one pixel to the next
};

/// The largest value of each channel; the window is not empty.
template <typename T>
void window_maximum(const Window<T>& window, int64_t channels, T* to);
/// The sum of each channel, times a factor.
template <typename T>
void window_sum(const Window<T>& window, int64_t channels, float factor, T* to);

}  // namespace striate::kernels
