#include "kernels/suppression.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace striate::kernels {

namespace {

// The largest T that is no larger, so that comparing in T is comparing in double.
template <typename T>
T rounded_down(double value) {
  const T rounded = static_cast<T>(value);
  if (static_cast<double>(rounded) <= value) return rounded;
  return std::nextafter(rounded, -std::numeric_limits<T>::infinity());
}

// Marks what the box at `i` suppresses.
template <typename T>
void mark(const SortedBoxes<T>& boxes, const T* areas, int64_t i, T threshold, uint8_t* kept) {
  const T x1 = boxes.x1[i];
  const T y1 = boxes.y1[i];
  const T x2 = boxes.x2[i];
  const T y2 = boxes.y2[i];
  const T area = areas[i];
  for (int64_t j = i + 1; j < boxes.count; ++j) {
    const T width = std::max(T{0}, std::min(x2, boxes.x2[j]) - std::max(x1, boxes.x1[j]));
    const T height = std::max(T{0}, std::min(y2, boxes.y2[j]) - std::max(y1, boxes.y1[j]));
    const T shared = width * height;
    const T overlap = shared / (area + areas[j] - shared);
    kept[j] = static_cast<uint8_t>(kept[j] & static_cast<uint8_t>(!(overlap > threshold)));
  }
}

}  // namespace

template <typename T>
void suppress(const SortedBoxes<T>& boxes, double threshold, uint8_t* kept) {
  std::vector<T> areas(static_cast<size_t>(boxes.count));
  for (int64_t i = 0; i < boxes.count; ++i) {
    areas[static_cast<size_t>(i)] = (boxes.x2[i] - boxes.x1[i]) * (boxes.y2[i] - boxes.y1[i]);
    kept[i] = 1;
  }
  const T limit = rounded_down<T>(threshold);
  for (int64_t i = 0; i < boxes.count; ++i) {
    if (kept[i] != 0) mark(boxes, areas.data(), i, limit, kept);
  }
}

template void suppress(const SortedBoxes<float>&, double, uint8_t*);
template void suppress(const SortedBoxes<double>&, double, uint8_t*);

}  // namespace striate::kernels
