// Values as the processor's matrix tiles take them; compiled once for each instruction set
// (Highway's foreach_target).
#if defined(STRIATE_KERNELS_TILE_VALUES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STRIATE_KERNELS_TILE_VALUES_INL_H_
#undef STRIATE_KERNELS_TILE_VALUES_INL_H_
#else
#define STRIATE_KERNELS_TILE_VALUES_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "kernels/multiply_tiles-inl.h"
#include "kernels/vectors-inl.h"

#if STRIATE_TILES

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {

using Halves = hn::Repartition<uint16_t, D>;

// Two vectors side by side, each value the nearest one.
HWY_INLINE hn::Vec<Halves> round_pair(V left, V right) {
  hn::Vec<Halves> both;
  asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(both.raw) : "v"(left.raw), "v"(right.raw));
  return both;
}

// Two vectors side by side as sums of parts.
template <int64_t count>
struct SplitPair {
  HWY_INLINE SplitPair(V left, V right) {
    for (auto& part : parts) {
      part = round_pair(left, right);
      left = hn::Sub(left, from_half(hn::LowerHalf(Half(), part)));
      right = hn::Sub(right, from_half(hn::UpperHalf(Half(), part)));
    }
  }

  hn::Vec<Halves> parts[count];
};

// A tile of columns holds pairs of products: row i those of products 2 i and 2 i + 1, side by side
// for each column.
using Pairs = hn::Vec<Bits>;

// The pairs of values at one place in both halves.
HWY_INLINE Pairs interleave(hn::Vec<Halves> both) {
  const auto first = hn::PromoteTo(Bits(), hn::LowerHalf(Half(), both));
  const auto second = hn::PromoteTo(Bits(), hn::UpperHalf(Half(), both));
  return hn::Or(first, hn::ShiftLeft<16>(second));
}

HWY_INLINE void store_pairs(Pairs pairs, int64_t row, BFloat16* tile) {
  hn::StoreU(pairs, Bits(), reinterpret_cast<uint32_t*>(tile) + row * kTileColumns);
}

// Rows of a tile's columns, transposed.
class PairRows {
 public:
  HWY_INLINE void set(int64_t column, Pairs pairs) {
    hn::StoreU(hn::BitCast(D(), pairs), D(), rows_ + column * kLanes);
  }

  void store(BFloat16* tile) const {
    auto* to = reinterpret_cast<float*>(tile);
    for (int64_t column = 0; column < kTileColumns; column += kBlockSide) {
      for (int64_t row = 0; row < kTileRows; row += kBlockSide) {
        transpose_block(rows_ + column * kLanes + row, kLanes, to + row * kTileColumns + column,
                        kTileColumns);
      }
    }
  }

 private:
  alignas(64) float rows_[kTileColumns * kLanes];
};

}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#endif
#endif
