#include "kernels/suppression.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/suppression.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// The largest T that is no larger, so that comparing in T is comparing in double.
template <typename T>
T rounded_down(double value) {
  const T rounded = static_cast<T>(value);
  if (static_cast<double>(rounded) <= value) return rounded;
  return std::nextafter(rounded, -std::numeric_limits<T>::infinity());
}

// Boxes with their areas, filled up by empty ones, which share nothing.
template <typename T>
class Columns {
 public:
  explicit Columns(const SortedBoxes<T>& boxes)
      : x1(padded(boxes.x1, boxes.count)),
        y1(padded(boxes.y1, boxes.count)),
        x2(padded(boxes.x2, boxes.count)),
        y2(padded(boxes.y2, boxes.count)),
        area(x1.size()) {
    for (size_t i = 0; i < area.size(); ++i) area[i] = (x2[i] - x1[i]) * (y2[i] - y1[i]);
  }

  std::vector<T> x1;
  std::vector<T> y1;
  std::vector<T> x2;
  std::vector<T> y2;
  std::vector<T> area;

 private:
  static std::vector<T> padded(const T* values, int64_t count) {
    std::vector<T> result(static_cast<size_t>(count) + hn::MaxLanes(hn::ScalableTag<T>()));
    std::copy_n(values, count, result.begin());
    return result;
  }
};

// Marks what the box at `i` suppresses.
template <typename T>
void mark(const Columns<T>& boxes, size_t i, int64_t count, T threshold, uint8_t* kept) {
  const hn::ScalableTag<T> d;
  constexpr size_t kLanes = hn::MaxLanes(hn::ScalableTag<T>());
  const auto zero = hn::Zero(d);
  const auto limit = hn::Set(d, threshold);
  // Below it no rounding of the quotient reaches the threshold: few boxes need a division.
  const auto near = hn::Set(d, threshold - std::abs(threshold) * T{1e-4});
  const auto x1 = hn::Set(d, boxes.x1[i]);
  const auto y1 = hn::Set(d, boxes.y1[i]);
  const auto x2 = hn::Set(d, boxes.x2[i]);
  const auto y2 = hn::Set(d, boxes.y2[i]);
  const auto area = hn::Set(d, boxes.area[i]);
  const auto end = static_cast<size_t>(count);
  for (size_t j = i + 1; j < end; j += kLanes) {
    const auto left = hn::Max(x1, hn::LoadU(d, &boxes.x1[j]));
    const auto top = hn::Max(y1, hn::LoadU(d, &boxes.y1[j]));
    const auto right = hn::Min(x2, hn::LoadU(d, &boxes.x2[j]));
    const auto bottom = hn::Min(y2, hn::LoadU(d, &boxes.y2[j]));
    const auto shared =
        hn::Mul(hn::Max(zero, hn::Sub(right, left)), hn::Max(zero, hn::Sub(bottom, top)));
    const auto covered = hn::Sub(hn::Add(area, hn::LoadU(d, &boxes.area[j])), shared);
    if (hn::AllFalse(d, hn::Gt(shared, hn::Mul(near, covered)))) continue;
    uint8_t bits[8] = {};
    hn::StoreMaskBits(d, hn::Gt(hn::Div(shared, covered), limit), bits);
    for (size_t lane = 0; lane < std::min(kLanes, end - j); ++lane) {
      if ((bits[lane / 8] >> (lane % 8) & 1) != 0) kept[j + lane] = 0;
    }
  }
}

template <typename T>
void suppress_in(const SortedBoxes<T>& boxes, double threshold, uint8_t* kept) {
  const Columns<T> columns(boxes);
  const T limit = rounded_down<T>(threshold);
  std::fill_n(kept, boxes.count, uint8_t{1});
  for (int64_t i = 0; i < boxes.count; ++i) {
    if (kept[i] != 0) mark<T>(columns, static_cast<size_t>(i), boxes.count, limit, kept);
  }
}

void SuppressFloat(const SortedBoxes<float>& boxes, double threshold, uint8_t* kept) {
  suppress_in<float>(boxes, threshold, kept);
}

void SuppressDouble(const SortedBoxes<double>& boxes, double threshold, uint8_t* kept) {
  suppress_in<double>(boxes, threshold, kept);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(SuppressFloat);
HWY_EXPORT(SuppressDouble);

template <>
void suppress<float>(const SortedBoxes<float>& boxes, double threshold, uint8_t* kept) {
  HWY_DYNAMIC_DISPATCH(SuppressFloat)(boxes, threshold, kept);
}

template <>
void suppress<double>(const SortedBoxes<double>& boxes, double threshold, uint8_t* kept) {
  HWY_DYNAMIC_DISPATCH(SuppressDouble)(boxes, threshold, kept);
}

}  // namespace striate::kernels
#endif
