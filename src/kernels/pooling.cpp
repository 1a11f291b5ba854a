#include "kernels/pooling.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pooling.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/multiply-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

void Maximum(const Window& w, int64_t channels, float* to) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    V largest = load(w.first, c, channels);
    for (int64_t y = 0; y < w.rows; ++y) {
      const float* row = w.first + y * w.row_stride;
      for (int64_t x = 0; x < w.columns; ++x) {
        largest = hn::Max(largest, load(row + x * w.column_stride, c, channels));
      }
    }
    store(largest, to, c, channels);
  }
}

void Sum(const Window& w, int64_t channels, float factor, float* to) {
  const D d;
  for (int64_t c = 0; c < channels; c += kLanes) {
    V sum = hn::Zero(d);
    for (int64_t y = 0; y < w.rows; ++y) {
      const float* row = w.first + y * w.row_stride;
      for (int64_t x = 0; x < w.columns; ++x) {
        sum = hn::Add(sum, load(row + x * w.column_stride, c, channels));
      }
    }
    store(hn::Mul(sum, hn::Set(d, factor)), to, c, channels);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(Maximum);
HWY_EXPORT(Sum);

void window_maximum(const Window& window, int64_t channels, float* to) {
  HWY_DYNAMIC_DISPATCH(Maximum)(window, channels, to);
}

void window_sum(const Window& window, int64_t channels, float factor, float* to) {
  HWY_DYNAMIC_DISPATCH(Sum)(window, channels, factor, to);
}

}  // namespace striate::kernels
#endif
