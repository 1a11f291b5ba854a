#include "kernels/pooling.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pooling.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

template <typename T>
void maximum(const Window<T>& w, int64_t channels, T* to) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    V largest = load(w.first, c, channels);
    for (int64_t y = 0; y < w.rows; ++y) {
      const T* row = w.first + y * w.row_stride;
      for (int64_t x = 0; x < w.columns; ++x) {
        largest = hn::Max(largest, load(row + x * w.column_stride, c, channels));
      }
    }
    store(largest, to, c, channels);
  }
}

template <typename T>
void sum(const Window<T>& w, int64_t channels, float factor, T* to) {
  const D d;
  for (int64_t c = 0; c < channels; c += kLanes) {
    V total = hn::Zero(d);
    for (int64_t y = 0; y < w.rows; ++y) {
      const T* row = w.first + y * w.row_stride;
      for (int64_t x = 0; x < w.columns; ++x) {
        total = hn::Add(total, load(row + x * w.column_stride, c, channels));
      }
    }
    store(hn::Mul(total, hn::Set(d, factor)), to, c, channels);
  }
}

// One of each type, for the dispatch.
void MaximumFloat(const Window<float>& window, int64_t channels, float* to) {
  maximum(window, channels, to);
}
void MaximumBFloat16(const Window<BFloat16>& window, int64_t channels, BFloat16* to) {
  maximum(window, channels, to);
}
void SumFloat(const Window<float>& window, int64_t channels, float factor, float* to) {
  sum(window, channels, factor, to);
}
void SumBFloat16(const Window<BFloat16>& window, int64_t channels, float factor, BFloat16* to) {
  sum(window, channels, factor, to);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(MaximumFloat);
HWY_EXPORT(MaximumBFloat16);
HWY_EXPORT(SumFloat);
HWY_EXPORT(SumBFloat16);

template <>
void window_maximum(const Window<float>& window, int64_t channels, float* to) {
  HWY_DYNAMIC_DISPATCH(MaximumFloat)(window, channels, to);
}
template <>
void window_maximum(const Window<BFloat16>& window, int64_t channels, BFloat16* to) {
  HWY_DYNAMIC_DISPATCH(MaximumBFloat16)(window, channels, to);
}

template <>
void window_sum(const Window<float>& window, int64_t channels, float factor, float* to) {
  HWY_DYNAMIC_DISPATCH(SumFloat)(window, channels, factor, to);
}
template <>
void window_sum(const Window<BFloat16>& window, int64_t channels, float factor, BFloat16* to) {
  HWY_DYNAMIC_DISPATCH(SumBFloat16)(window, channels, factor, to);
}

}  // namespace striate::kernels
#endif
