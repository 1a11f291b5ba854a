#pragma once

#include <cstdint>

namespace striate::kernels {

/// Boxes in the order of falling scores, each coordinate by itself; T is float or double.
template <typename T>
struct SortedBoxes {
  const T* x1;
  const T* y1;
  const T* x2;
  const T* y2;
  int64_t count;
};

/// Non-maximum suppression: a box is kept (1) unless one before it is that it shares more than
/// `threshold` of their union with (0).
template <typename T>
void suppress(const SortedBoxes<T>& boxes, double threshold, uint8_t* kept);

}  // namespace striate::kernels
