// Vectors of channels, float32 in registers; compiled once for each instruction set (Highway's
// foreach_target).
#if defined(STRIATE_KERNELS_VECTORS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STRIATE_KERNELS_VECTORS_INL_H_
#undef STRIATE_KERNELS_VECTORS_INL_H_
#else
#define STRIATE_KERNELS_VECTORS_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "kernels/bfloat16.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = hn::MaxLanes(D());

using Bits = hn::Rebind<uint32_t, D>;
using Half = hn::Rebind<uint16_t, D>;

constexpr int64_t kBlockSide = 4;
// A square of values, transposed: to[r * to_row + c] = from[c * from_row + r] * scale[c], for c and
// r below kBlockSide. @param scale  or null
HWY_INLINE void transpose_block(const float* from, int64_t from_row, float* to, int64_t to_row,
                                const float* scale = nullptr) {
#if HWY_TARGET == HWY_SCALAR
  for (int64_t c = 0; c < kBlockSide; ++c) {
    const float by = scale == nullptr ? 1 : scale[c];
    for (int64_t r = 0; r < kBlockSide; ++r) to[r * to_row + c] = from[c * from_row + r] * by;
  }
#else
  const hn::FixedTag<float, kBlockSide> d;
  const auto by = scale == nullptr ? hn::Set(d, 1.0F) : hn::LoadU(d, scale);
  const auto row = [&](int64_t c) { return hn::LoadU(d, from + c * from_row); };
  const auto low01 = hn::InterleaveLower(d, row(0), row(1));
  const auto high01 = hn::InterleaveUpper(d, row(0), row(1));
  const auto low23 = hn::InterleaveLower(d, row(2), row(3));
  const auto high23 = hn::InterleaveUpper(d, row(2), row(3));
  hn::StoreU(hn::Mul(by, hn::ConcatLowerLower(d, low23, low01)), d, to);
  hn::StoreU(hn::Mul(by, hn::ConcatUpperUpper(d, low23, low01)), d, to + to_row);
  hn::StoreU(hn::Mul(by, hn::ConcatLowerLower(d, high23, high01)), d, to + 2 * to_row);
  hn::StoreU(hn::Mul(by, hn::ConcatUpperUpper(d, high23, high01)), d, to + 3 * to_row);
#endif
}

inline V from_half(hn::Vec<Half> half) {
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(Bits(), half)));
}

inline hn::Vec<Half> to_half(V v) {
  const Bits d;
  const auto bits = hn::BitCast(d, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1U));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d, 0x7FFFU))));
  const auto number = hn::RebindMask(d, hn::Eq(v, v));
  const auto kept = hn::IfThenElse(number, rounded, hn::Set(d, 0x7FC0U));
  return hn::DemoteTo(Half(), hn::BitCast(hn::Rebind<int32_t, D>(), kept));
}

// The same by the processor's instruction, which takes the smallest numbers as 0.
template <bool instruction>
HWY_INLINE hn::Vec<Half> round_to_half(V v) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (instruction) {
    hn::Vec<Half> half;
    asm("vcvtneps2bf16 %1, %0" : "=v"(half.raw) : "v"(v.raw));
    return half;
  }
#endif
  return to_half(v);
}

inline const uint16_t* bits(const BFloat16* values) {
  return reinterpret_cast<const uint16_t*>(values);
}

inline uint16_t* bits(BFloat16* values) {
  return reinterpret_cast<uint16_t*>(values);
}

// The first `count` of a vector; the rest are 0, and are not read. Masks would do for 16 bits on
// some instruction sets only.
inline V load_part(const BFloat16* from, int64_t count) {
  BFloat16 all[kLanes] = {};
  std::copy_n(from, count, all);
  return from_half(hn::LoadU(Half(), bits(all)));
}

inline void store_part(V v, BFloat16* to, int64_t count) {
  BFloat16 all[kLanes];
  hn::StoreU(to_half(v), Half(), bits(all));
  std::copy_n(all, count, to);
}

// Channels from `c` on, of which `count` exist in all; those past them are 0 and are not read.
inline V load(const float* from, int64_t c, int64_t count) {
  const D d;
  if (c >= count) return hn::Zero(d);
  if (c + kLanes <= count) return hn::LoadU(d, from + c);
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count - c)), d, from + c);
}

inline V load(const BFloat16* from, int64_t c, int64_t count) {
  if (c >= count) return hn::Zero(D());
  if (c + kLanes <= count) return from_half(hn::LoadU(Half(), bits(from + c)));
  return load_part(from + c, count - c);
}

inline void store(V v, float* to, int64_t c, int64_t count) {
  const D d;
  if (c + kLanes <= count) {
    hn::StoreU(v, d, to + c);
  } else if (c < count) {
    hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(count - c)), d, to + c);
  }
}

inline void store(V v, BFloat16* to, int64_t c, int64_t count) {
  if (c + kLanes <= count) {
    hn::StoreU(to_half(v), Half(), bits(to + c));
  } else if (c < count) {
    store_part(v, to + c, count - c);
  }
}

// What is not a number stays so.
HWY_INLINE V relu(V v) {
  return hn::IfThenZeroElse(hn::Lt(v, hn::Zero(D())), v);
}

}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#endif
