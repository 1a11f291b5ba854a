// Kernels of a convolution as the processor's matrix tiles take them; compiled once for each
// instruction set (Highway's foreach_target).
#if defined(STRIATE_KERNELS_TILE_PACKING_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STRIATE_KERNELS_TILE_PACKING_INL_H_
#undef STRIATE_KERNELS_TILE_PACKING_INL_H_
#else
#define STRIATE_KERNELS_TILE_PACKING_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "kernels/convolution_rows-inl.h"
#include "kernels/tile_values-inl.h"

#if STRIATE_TILES

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

// Some products of some output channels.
struct TilePart {
  int64_t first;  // of the products
  int64_t count;  // at most kTileLength; zeros follow
  int64_t channel;
  int64_t channels;  // at most kTileColumns; zeros follow
};

// A tile of the first parts, and those of the others.
template <int64_t parts>
void pack_tile(const ConvolutionShape& s, const ConvolutionKernels& kernels, const TilePart& part,
               BFloat16* tile) {
  PairRows rows[parts];
  for (int64_t c = 0; c < kTileColumns; ++c) {
    V left = hn::Zero(D());
    V right = left;
    if (c < part.channels) {
      const float* from = kernels.values + (part.channel + c) * s.length() + part.first;
      const V scale =
          hn::Set(D(), kernels.scale == nullptr ? 1.0F : kernels.scale[part.channel + c]);
      left = hn::Mul(load(from, 0, part.count), scale);
      right = hn::Mul(load(from, kLanes, part.count), scale);
    }
    const SplitPair<parts> split(left, right);
    for (int64_t i = 0; i < parts; ++i) {
      rows[i].set(c, hn::BitCast(Bits(), split.parts[i]));
    }
  }
  for (int64_t i = 0; i < parts; ++i) rows[i].store(tile + i * kPanelTiles);
}

// For the gradient of the kernels' input: a tile's channels lie beside each other already.
template <int64_t parts>
void pack_turned_tile(const ConvolutionShape& s, const ConvolutionKernels& kernels,
                      const TilePart& part, BFloat16* tile) {
  const int64_t taps = s.kernel_height * s.kernel_width;
  const auto product = [&](int64_t i) {
    if (i >= part.count) return hn::Zero(D());
    const int64_t r = part.first + i;
    const int64_t k = r % s.in_channels;
    const int64_t tap = taps - 1 - r / s.in_channels;
    const float* from = kernels.values + (k * taps + tap) * s.out_channels + part.channel;
    const V values = load(from, 0, part.channels);
    return kernels.scale == nullptr ? values : hn::Mul(values, hn::Set(D(), kernels.scale[k]));
  };
  for (int64_t row = 0; row < kTileRows; ++row) {
    const SplitPair<parts> split(product(2 * row), product(2 * row + 1));
    for (int64_t i = 0; i < parts; ++i) {
      store_pairs(interleave(split.parts[i]), row, tile + i * kPanelTiles);
    }
  }
}

template <int64_t parts>
void pack_for_tiles(const ConvolutionShape& s, const ConvolutionKernels& kernels, BFloat16* packed,
                    int64_t panel_begin, int64_t panel_end) {
  const Pieces p = pieces<BFloat16>(s);
  BFloat16* to = packed + panel_begin * parts * packed_length<BFloat16>(s) * kPanel;
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    for (int64_t piece = 0; piece < p.count; ++piece) {
      for (int64_t r = 0; r < p.padded; r += kTileLength) {
        for (int64_t half = 0; half < 2; ++half) {
          TilePart part = {.first = piece * p.length + r,
                           .count = std::min(kTileLength, p.length - r),
                           .channel = panel * kPanel + half * kTileColumns,
                           .channels = 0};
          part.channels = std::clamp<int64_t>(s.out_channels - part.channel, 0, kTileColumns);
          BFloat16* tile = to + half * kTileValues;
          kernels.use == KernelUse::kInputGradient ? pack_turned_tile<parts>(s, kernels, part, tile)
                                                   : pack_tile<parts>(s, kernels, part, tile);
        }
        to += parts * kPanelTiles;
      }
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#endif
#endif
