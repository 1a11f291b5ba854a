#include "kernels/neighbours.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/neighbours.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/multiply-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

int64_t Panel() {
  return kPanel;
}

void Pack(const float* rows, int64_t count, int64_t width, float* packed) {
  for (int64_t first = 0; first < count; first += kPanel, packed += kPanel * width) {
    const int64_t filled = std::min(kPanel, count - first);
    for (int64_t c = 0; c < filled; ++c) {
      const float* row = rows + (first + c) * width;
      for (int64_t i = 0; i < width; ++i) packed[i * kPanel + c] = row[i];
    }
    for (int64_t i = 0; i < width; ++i) {
      std::fill(packed + i * kPanel + filled, packed + (i + 1) * kPanel, 0.0F);
    }
  }
}

void Keys(const DistanceBlock& p) {
  const D d;
  const int64_t columns = p.panels * kPanel;
  for (int64_t panel = 0; panel < p.panels; ++panel) {
    const V left_offset = hn::LoadU(d, p.offsets + panel * kPanel);
    const V right_offset = hn::LoadU(d, p.offsets + panel * kPanel + kLanes);
    const Operands operands{p.rows, p.width, 1, p.packed + panel * kPanel * p.width,
                            kPanel, p.width};
    multiply(operands, p.row_count, [&](int64_t row, V left, V right) {
      float* keys = p.keys + row * columns + panel * kPanel;
      hn::StoreU(hn::Sub(left_offset, left), d, keys);
      hn::StoreU(hn::Sub(right_offset, right), d, keys + kLanes);
    });
  }
}

int64_t FindBelow(const float* values, int64_t count, float limit, int32_t* positions) {
  const D d;
  const V bound = hn::Set(d, limit);
  int64_t found = 0;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    if (hn::AllFalse(d, hn::Lt(hn::LoadU(d, values + i), bound))) continue;
    for (int64_t j = i; j < i + kLanes; ++j) {
      if (values[j] < limit) positions[found++] = static_cast<int32_t>(j);
    }
  }
  for (; i < count; ++i) {
    if (values[i] < limit) positions[found++] = static_cast<int32_t>(i);
  }
  return found;
}

Counts CountBelow(const float* values, int64_t count, float limit) {
  const D d;
  const V bound = hn::Set(d, limit);
  Counts counts;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const V v = hn::LoadU(d, values + i);
    counts.below += static_cast<int64_t>(hn::CountTrue(d, hn::Lt(v, bound)));
    counts.equal += static_cast<int64_t>(hn::CountTrue(d, hn::Eq(v, bound)));
  }
  for (; i < count; ++i) {
    counts.below += values[i] < limit ? 1 : 0;
    counts.equal += values[i] == limit ? 1 : 0;
  }
  return counts;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(Panel);
HWY_EXPORT(Pack);
HWY_EXPORT(Keys);
HWY_EXPORT(FindBelow);
HWY_EXPORT(CountBelow);

int64_t distance_panel() {
  return HWY_DYNAMIC_DISPATCH(Panel)();
}

void pack_distance_panels(const float* rows, int64_t count, int64_t width, float* packed) {
  HWY_DYNAMIC_DISPATCH(Pack)(rows, count, width, packed);
}

void distance_keys(const DistanceBlock& block) {
  HWY_DYNAMIC_DISPATCH(Keys)(block);
}

int64_t find_below(const float* values, int64_t count, float limit, int32_t* positions) {
  return HWY_DYNAMIC_DISPATCH(FindBelow)(values, count, limit, positions);
}

Counts count_below(const float* values, int64_t count, float limit) {
  return HWY_DYNAMIC_DISPATCH(CountBelow)(values, count, limit);
}

}  // namespace striate::kernels
#endif
