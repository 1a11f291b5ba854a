#include "kernels/split_kernel_gradient.h"

#include <algorithm>
#include <span>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/split_kernel_gradient.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/convolution_rows-inl.h"
#include "kernels/multiply_tiles-inl.h"
#include "kernels/tile_values-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

// A packed panel of a slice: all parts of the values of kPanel channels.
constexpr int64_t kSliceValues = kCoarseParts * kPanelTiles;
// Slices whose products are summed at once: a panel of them stays in the nearest cache.
constexpr int64_t kSummedSlices = 8;
// Values of an input's row that are gathered at a time.
constexpr int64_t kGatheredLength = 512;

int64_t panels(int64_t channels) {
  return padded(channels) / kPanel;
}

int64_t slices_of(int64_t pixels) {
  return (pixels - 1) / kTileLength + 1;
}

// So many that the fewer of inputs and gradients, packed, stay in the cache, and the others do not
// take much memory.
int64_t Chunk(const ConvolutionShape& s) {
  constexpr int64_t kValueSize = kCoarseParts * static_cast<int64_t>(sizeof(BFloat16));
  const int64_t fewer = std::min(padded(s.out_channels), padded(s.length()));
  const int64_t more = std::max(padded(s.out_channels), padded(s.length()));
  const int64_t pixels =
      std::min(cache_size() / 2 / (fewer * kValueSize), 8 * cache_size() / (more * kValueSize));
  const int64_t slices =
      std::clamp<int64_t>(pixels / kTileLength, kSummedSlices, 16 * kSummedSlices);
  return std::min(slices, slices_of(s.rows())) * kTileLength;
}

int64_t Parts(const ConvolutionShape& s) {
  return std::max(panels(s.out_channels), panels(s.length()));
}

#if STRIATE_TILES

// Packs kTileColumns channels of a slice, from `channel` on; those past `channels` are zero.
// `row(i)`: pixel i's, or null.
template <bool transposed, typename Row>
void pack_slice(const Row& row, int64_t channel, int64_t channels, BFloat16* tile) {
  PairRows rows[kCoarseParts];
  for (int64_t pair = 0; pair < kTileRows; ++pair) {
    const float* first = row(2 * pair);
    const float* second = row(2 * pair + 1);
    const V zero = hn::Zero(D());
    const SplitPair<kCoarseParts> split(first == nullptr ? zero : load(first, channel, channels),
                                        second == nullptr ? zero : load(second, channel, channels));
    for (int64_t i = 0; i < kCoarseParts; ++i) {
      const auto pairs = interleave(split.parts[i]);
      transposed ? rows[i].set(pair, pairs) : store_pairs(pairs, pair, tile + i * kPanelTiles);
    }
  }
  for (int64_t i = 0; transposed && i < kCoarseParts; ++i) {
    rows[i].store(tile + i * kPanelTiles);
  }
}

// Channels [begin, end) of a slice, whole panels of them but for the last.
template <bool transposed, typename Row>
void pack_panels(const Row& row, int64_t begin, int64_t end, int64_t slice, int64_t slices,
                 int64_t first_channel, BFloat16* packed) {
  for (int64_t channel = begin; channel < end; channel += kPanel) {
    BFloat16* to = packed + (channel / kPanel * slices + slice) * kSliceValues;
    for (int64_t half = 0; half < kPanel; half += kTileColumns, to += kTileValues) {
      pack_slice<transposed>(row, channel + half - first_channel, end - first_channel, to);
    }
  }
}

void PackGradients(const ConvolutionShape& s, const float* gradient, const SplitSlices& slices,
                   BFloat16* packed) {
  const int64_t count = slices_of(slices.last_pixel - slices.first_pixel);
  for (int64_t slice = slices.begin; slice < slices.end; ++slice) {
    const int64_t first = slices.first_pixel + slice * kTileLength;
    const auto row = [&](int64_t i) {
      return first + i < slices.last_pixel ? gradient + (first + i) * s.out_channels : nullptr;
    };
    pack_panels<true>(row, 0, s.out_channels, slice, count, 0, packed);
  }
}

void PackInputs(const ConvolutionShape& s, const float* input, const SplitSlices& slices,
                BFloat16* packed, float* scratch) {
  const DirectConvolution<float> c = {.input = input,
                                      .input_stride = s.in_channels,
                                      .packed = nullptr,
                                      .epilogue = {},
                                      .output = nullptr,
                                      .output_stride = 0};
  const int64_t count = slices_of(slices.last_pixel - slices.first_pixel);
  for (int64_t slice = slices.begin; slice < slices.end; ++slice) {
    const int64_t first = slices.first_pixel + slice * kTileLength;
    const int64_t pixels = std::min(kTileLength, slices.last_pixel - first);
    if (rows_lie_in_place(s, c)) {
      const auto row = [&](int64_t i) {
        return i < pixels ? input + (first + i) * s.in_channels : nullptr;
      };
      pack_panels<false>(row, 0, s.length(), slice, count, 0, packed);
      continue;
    }
    constexpr int64_t kRow = kGatheredLength + kGap;
    for (int64_t begin = 0; begin < s.length(); begin += kGatheredLength) {
      const int64_t end = std::min(s.length(), begin + kGatheredLength);
      for (int64_t i = 0; i < pixels; ++i) {
        gather_row(s, c, first + i, {begin, end}, scratch + i * kRow);
      }
      const auto row = [&](int64_t i) { return i < pixels ? scratch + i * kRow : nullptr; };
      pack_panels<false>(row, begin, end, slice, count, begin, packed);
    }
  }
}

// Adds the products of some slices of a panel of output channels and one of products' places.
void add_block(const ConvolutionShape& s, const BFloat16* a, const BFloat16* b,
               std::span<const int64_t> slices, int64_t k, int64_t r, float* kernel_gradient) {
  constexpr int64_t kSumsRow = kPanel;
  alignas(64) float sums[kTileBlockRows * kSumsRow];
  const TileOperands p = {.a = a,
                          .a_row = kTileLength,
                          .a_part = kPanelTiles,
                          .pieces = slices,
                          .piece_length = kTileLength,
                          .b = b};
  const auto nothing = [] {};
  const int64_t rows = std::min(kTileBlockRows, s.out_channels - k);
  rows > kTileRows ? multiply_tiles<kCoarseParts, kTileBlockRows>(p, sums, kSumsRow, nothing)
                   : multiply_tiles<kCoarseParts, kTileRows>(p, sums, kSumsRow, nothing);
  const D d;
  for (int64_t i = 0; i < rows; ++i) {
    float* to = kernel_gradient + (k + i) * s.length() + r;
    for (int64_t c = 0; c < kPanel; c += kLanes) {
      const V sum = hn::Load(d, sums + i * kSumsRow + c);
      store(hn::Add(load(to, c, s.length() - r), sum), to, c, s.length() - r);
    }
  }
}

void AddKernelGradient(const ConvolutionShape& s, const BFloat16* gradients, const BFloat16* inputs,
                       int64_t pixels, float* kernel_gradient, int64_t part_begin,
                       int64_t part_end) {
  const Tiles tiles;
  const int64_t slices = slices_of(pixels);
  std::vector<int64_t> places(static_cast<size_t>(kSummedSlices));
  for (size_t i = 0; i < places.size(); ++i) {
    places[i] = static_cast<int64_t>(i) * kSliceValues;
  }
  const bool by_outputs = panels(s.out_channels) >= panels(s.length());
  const int64_t others = std::min(panels(s.out_channels), panels(s.length()));
  for (int64_t part = part_begin; part < part_end; ++part) {
    for (int64_t first = 0; first < slices; first += kSummedSlices) {
      const auto count = static_cast<size_t>(std::min(kSummedSlices, slices - first));
      for (int64_t other = 0; other < others; ++other) {
        const int64_t m = by_outputs ? part : other;
        const int64_t n = by_outputs ? other : part;
        add_block(s, gradients + (m * slices + first) * kSliceValues,
                  inputs + (n * slices + first) * kSliceValues, std::span(places).first(count),
                  m * kPanel, n * kPanel, kernel_gradient);
      }
    }
  }
}

#else

void PackGradients(const ConvolutionShape&, const float*, const SplitSlices&, BFloat16*) {
  HWY_ABORT("this processor has no matrix tiles");
}
void PackInputs(const ConvolutionShape&, const float*, const SplitSlices&, BFloat16*, float*) {
  HWY_ABORT("this processor has no matrix tiles");
}
void AddKernelGradient(const ConvolutionShape&, const BFloat16*, const BFloat16*, int64_t, float*,
                       int64_t, int64_t) {
  HWY_ABORT("this processor has no matrix tiles");
}

#endif

int64_t GradientsSize(const ConvolutionShape& s) {
  return panels(s.out_channels) * slices_of(Chunk(s)) * kSliceValues;
}
int64_t InputsSize(const ConvolutionShape& s) {
  return panels(s.length()) * slices_of(Chunk(s)) * kSliceValues;
}
int64_t ScratchSize() {
  return kTileLength * (kGatheredLength + kGap);
}
int64_t Slice() {
  return kTileLength;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(Chunk);
HWY_EXPORT(Slice);
HWY_EXPORT(GradientsSize);
HWY_EXPORT(InputsSize);
HWY_EXPORT(ScratchSize);
HWY_EXPORT(PackGradients);
HWY_EXPORT(PackInputs);
HWY_EXPORT(Parts);
HWY_EXPORT(AddKernelGradient);

int64_t split_chunk(const ConvolutionShape& s) {
  return HWY_DYNAMIC_DISPATCH(Chunk)(s);
}
int64_t split_slice() {
  return HWY_DYNAMIC_DISPATCH(Slice)();
}
int64_t split_gradients_size(const ConvolutionShape& s) {
  return HWY_DYNAMIC_DISPATCH(GradientsSize)(s);
}
int64_t split_inputs_size(const ConvolutionShape& s) {
  return HWY_DYNAMIC_DISPATCH(InputsSize)(s);
}
int64_t split_gradient_scratch_size() {
  return HWY_DYNAMIC_DISPATCH(ScratchSize)();
}
void split_pack_gradients(const ConvolutionShape& s, const float* gradient,
                          const SplitSlices& slices, BFloat16* packed) {
  HWY_DYNAMIC_DISPATCH(PackGradients)(s, gradient, slices, packed);
}
void split_pack_inputs(const ConvolutionShape& s, const float* input, const SplitSlices& slices,
                       BFloat16* packed, float* scratch) {
  HWY_DYNAMIC_DISPATCH(PackInputs)(s, input, slices, packed, scratch);
}
int64_t split_gradient_parts(const ConvolutionShape& s) {
  return HWY_DYNAMIC_DISPATCH(Parts)(s);
}
void split_add_kernel_gradient(const ConvolutionShape& s, const BFloat16* gradients,
                               const BFloat16* inputs, int64_t pixels, float* kernel_gradient,
                               int64_t part_begin, int64_t part_end) {
  HWY_DYNAMIC_DISPATCH(AddKernelGradient)
  (s, gradients, inputs, pixels, kernel_gradient, part_begin, part_end);
}

}  // namespace striate::kernels
#endif
