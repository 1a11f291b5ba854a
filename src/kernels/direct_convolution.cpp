#include "kernels/direct_convolution.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/direct_convolution.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/convolution_rows-inl.h"
#include "kernels/multiply-inl.h"
#include "kernels/tile_convolution-inl.h"
#include "kernels/tile_packing-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

// Rows and products at a time: what is gathered, and a panel of kernels, stay in the cache.
constexpr int64_t kBlockRows = 4 * kRows;
constexpr int64_t kBlockLength = 2048;

int64_t Panel() {
  return kPanel;
}

// bfloat16 sums all products of an output at once, as it could not keep a part's sums.
template <typename T>
int64_t parts(const ConvolutionShape& s) {
  return kHalf<T> ? 1 : (s.length() + kBlockLength - 1) / kBlockLength;
}

BFloat16 rounded(float value) {
  if (value != value) return {0x7FC0};
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return {static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)};
}

// A part of the kernels of a few output channels, from `first` on in a panel.
void pack_channels(const ConvolutionKernels& kernels, int64_t length, const Part& part,
                   int64_t first, int64_t channels, float* to) {
  to += first;
  int64_t r = part.begin;
  for (; channels == kBlockSide && r + kBlockSide <= part.end; r += kBlockSide) {
    transpose_block(kernels.values + r, length, to + r * kPanel, kPanel, kernels.scale);
  }
  for (; r < part.end; ++r) {
    for (int64_t c = 0; c < channels; ++c) {
      const float scale = kernels.scale == nullptr ? 1 : kernels.scale[c];
      to[r * kPanel + c] = scale * kernels.values[c * length + r];
    }
  }
}

// Where channel c of a panel is packed: pairs of products side by side.
int64_t half_place(int64_t product, int64_t c) {
  return (product / 2 * kPanel + c) * 2 + product % 2;
}

void pack_channels(const ConvolutionKernels& kernels, int64_t length, const Part& part,
                   int64_t first, int64_t channels, BFloat16* to) {
  for (int64_t r = part.begin; r < part.end; ++r) {
    BFloat16* at = to + half_place(r, first);
    for (int64_t c = 0; c < channels; ++c) {
      const float scale = kernels.scale == nullptr ? 1 : kernels.scale[c];
      at[2 * c] = rounded(scale * kernels.values[c * length + r]);
    }
  }
}

// Kernels for the gradient of their input: a panel's channels lie beside each other already.
template <typename T>
void pack_turned(const ConvolutionShape& s, const ConvolutionKernels& kernels, int64_t channel,
                 int64_t channels, T* to) {
  const int64_t taps = s.kernel_height * s.kernel_width;
  for (int64_t r = 0; r < s.length(); ++r) {
    const int64_t k = r % s.in_channels;
    const int64_t tap = taps - 1 - r / s.in_channels;
    const float* from = kernels.values + (k * taps + tap) * s.out_channels + channel;
    const float scale = kernels.scale == nullptr ? 1 : kernels.scale[k];
    for (int64_t c = 0; c < channels; ++c) {
      if constexpr (kHalf<T>) {
        to[half_place(r, c)] = rounded(scale * from[c]);
      } else {
        to[r * kPanel + c] = scale * from[c];
      }
    }
  }
}

// Values of a kernel that are packed at a time: with a panel's they stay in the nearest cache.
constexpr int64_t kPackLength = 64;

template <typename T>
void pack(const ConvolutionShape& s, const ConvolutionKernels& kernels, T* packed,
          int64_t panel_begin, int64_t panel_end) {
  const int64_t length = s.length();
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    T* to = packed + panel * packed_length<T>(s) * kPanel;
    const int64_t count = std::min(kPanel, s.out_channels - panel * kPanel);
    if (count < kPanel || packed_length<T>(s) > length) {
      std::fill_n(to, packed_length<T>(s) * kPanel, T{});
    }
    if (kernels.use == KernelUse::kInputGradient) {
      pack_turned(s, kernels, panel * kPanel, count, to);
      continue;
    }
    for (int64_t begin = 0; begin < length; begin += kPackLength) {
      const int64_t end = std::min(length, begin + kPackLength);
      for (int64_t k = 0; k < count; k += kBlockSide) {
        const int64_t channel = panel * kPanel + k;
        pack_channels({kernels.values + channel * length,
                       kernels.scale == nullptr ? nullptr : kernels.scale + channel},
                      length, {begin, end}, k, std::min(kBlockSide, count - k), to);
      }
    }
  }
}

// Those whose distance does not put them all into the same lines of the cache are read where they
// are.
template <typename T>
bool reads_in_place(const ConvolutionShape& s, const DirectConvolution<T>& c) {
  constexpr int64_t kLines = 4096 / static_cast<int64_t>(sizeof(T));
  return rows_lie_in_place(s, c) && packed_length<T>(s) == s.length() &&
         (c.input_stride % kLines != 0 || s.rows() < kRows);
}

// Rows of inputs under the kernel, at one distance from each other.
template <typename T>
struct Gathered {
  const T* rows;
  int64_t stride;
};

// Where a panel's outputs go, and what is added to them. `instruction`: the processor rounds to
// bfloat16 by one.
template <typename T, bool instruction = false>
struct Destination {
  Destination(const ConvolutionShape& s, const DirectConvolution<T>& c, int64_t row, int64_t panel)
      : count(s.out_channels - panel * kPanel),
        output(c.output + row * c.output_stride + panel * kPanel),
        output_stride(c.output_stride),
        epilogue(c.epilogue) {
    if (epilogue.bias != nullptr) epilogue.bias += panel * kPanel;
    if (epilogue.residual != nullptr) {
      epilogue.residual += row * epilogue.residual_stride + panel * kPanel;
    }
    if (epilogue.gate != nullptr) epilogue.gate += row * epilogue.gate_stride + panel * kPanel;
  }

  // Brings what `put` reads and writes of a row near.
  HWY_INLINE void fetch(int64_t i) const {
    const EpilogueRow<T> added(epilogue, i);
    for (int64_t c = 0; c < kPanel; c += kLanes) {
      hwy::Prefetch(output + i * output_stride + c);
      if (added.residual != nullptr) hwy::Prefetch(added.residual + c);
      if (added.gate != nullptr) hwy::Prefetch(added.gate + c);
    }
  }

  HWY_INLINE void put(int64_t i, V left, V right) const {
    const EpilogueRow<T> added(epilogue, i);
    T* to = output + i * output_stride;
    const V first = finish(left, epilogue, added, 0, count);
    const V second = finish(right, epilogue, added, kLanes, count);
    if constexpr (instruction) {
      if (count >= kPanel) {
        hn::StoreU(round_to_half<true>(first), Half(), bits(to));
        hn::StoreU(round_to_half<true>(second), Half(), bits(to + kLanes));
        return;
      }
    }
    store(first, to, 0, count);
    store(second, to, kLanes, count);
  }

  int64_t count;
  T* output;
  int64_t output_stride;
  Epilogue<T> epilogue;
};

void multiply_panel(const ConvolutionShape& s, const DirectConvolution<float>& c,
                    const Gathered<float>& gathered, const Part& part, int64_t row, int64_t rows,
                    int64_t panel) {
  const Destination<float> to(s, c, row, panel);
  const bool starts = part.begin == 0;
  const bool ends = part.end == s.length();
  const Operands p = {.a = gathered.rows,
                      .a_row = gathered.stride,
                      .a_sum = 1,
                      .b = c.packed + (panel * s.length() + part.begin) * kPanel,
                      .b_sum = kPanel,
                      .length = part.length(),
                      .next = c.packed + ((panel + 1) * s.length() + part.begin) * kPanel};
  if (starts && ends) {
    return multiply(
        p, rows, [&](int64_t i, V left, V right) { to.put(i, left, right); },
        [&](int64_t i) { to.fetch(i); });
  }
  // What is added may lie where outputs go, and is added before it is written over.
  Destination<float> last = to;
  last.epilogue.residual = nullptr;
  multiply(p, rows, [&](int64_t i, V left, V right) {
    float* sums = to.output + i * to.output_stride;
    const float* added = starts ? EpilogueRow<float>(to.epilogue, i).residual : sums;
    if (added != nullptr) {
      left = hn::Add(left, load(added, 0, to.count));
      right = hn::Add(right, load(added, kLanes, to.count));
    }
    if (ends) return last.put(i, left, right);
    store(left, sums, 0, to.count);
    store(right, sums, kLanes, to.count);
  });
}

template <bool instruction>
void multiply_half_panel(const ConvolutionShape& s, const DirectConvolution<BFloat16>& c,
                         const Gathered<BFloat16>& gathered, int64_t row, int64_t rows,
                         int64_t panel) {
  const Destination<BFloat16, instruction> to(s, c, row, panel);
  const int64_t length = packed_length<BFloat16>(s);
  multiply(
      HalfOperands<instruction>{.a = gathered.rows,
                                .a_row = gathered.stride,
                                .b = c.packed + panel * length * kPanel,
                                .length = length / 2,
                                .next = c.packed + (panel + 1) * length * kPanel},
      rows, [&](int64_t i, V left, V right) { to.put(i, left, right); },
      [&](int64_t i) { to.fetch(i); });
}

void multiply_panel(const ConvolutionShape& s, const DirectConvolution<BFloat16>& c,
                    const Gathered<BFloat16>& gathered, const Part&, int64_t row, int64_t rows,
                    int64_t panel) {
#if HWY_TARGET == HWY_AVX3
  static const bool instruction = __builtin_cpu_supports("avx512bf16");
  if (instruction) return multiply_half_panel<true>(s, c, gathered, row, rows, panel);
#endif
  multiply_half_panel<false>(s, c, gathered, row, rows, panel);
}

// Where a core's cache holds all kernels, few rows are read and written at a time, from one end to
// the other, which the processor foresees.
template <typename T>
int64_t rows_at_a_time(const ConvolutionShape& s) {
  return cache_holds_kernels<T>(s) ? kRows : kBlockRows;
}

template <typename T>
void convolve(const ConvolutionShape& s, const DirectConvolution<T>& c, int64_t row_begin,
              int64_t row_end, int64_t panel_begin, int64_t panel_end, T* scratch) {
  const bool in_place = reads_in_place(s, c);
  const int64_t count = parts<T>(s);
  const int64_t block_rows = rows_at_a_time<T>(s);
  const int64_t blocks = (row_end - row_begin + block_rows - 1) / block_rows;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = row_begin + (row_end - row_begin) * block / blocks;
    const int64_t rows = row_begin + (row_end - row_begin) * (block + 1) / blocks - first;
    for (int64_t i = 0; i < count; ++i) {
      const Part part = {s.length() * i / count, s.length() * (i + 1) / count};
      const int64_t gathered_row = part.length() + part.length() % 2 + kGap;
      for (int64_t row = 0; !in_place && row < rows; ++row) {
        T* to = scratch + row * gathered_row;
        gather_row(s, c, first + row, part, to);
        if (c.scale != nullptr) normalize_row(c, part, to);
        to[part.length()] = T{};  // the second of the last pair, where that has one only
      }
      const Gathered<T> gathered = {
          in_place ? c.input + first * c.input_stride + part.begin : scratch,
          in_place ? c.input_stride : gathered_row};
      for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
        multiply_panel(s, c, gathered, part, first, rows, panel);
      }
    }
  }
}

template <typename T>
int64_t scratch_size(const ConvolutionShape& s) {
  return kBlockRows * ((s.length() + parts<T>(s) - 1) / parts<T>(s) + 1 + kGap);
}

// One of each type, for the dispatch.
int64_t ScratchSizeFloat(const ConvolutionShape& s) {
  return scratch_size<float>(s);
}
int64_t ScratchSizeBFloat16(const ConvolutionShape& s) {
#if STRIATE_TILES
  if (takes_tiles()) return tile_scratch_size<kHalfParts>(s);
#endif
  return scratch_size<BFloat16>(s);
}
int64_t PackedSizeFloat(const ConvolutionShape& s) {
  return packed_size<float>(s);
}
int64_t PackedSizeBFloat16(const ConvolutionShape& s) {
  return packed_size<BFloat16>(s);
}
void PackFloat(const ConvolutionShape& s, const ConvolutionKernels& kernels, float* packed,
               int64_t panel_begin, int64_t panel_end) {
  pack(s, kernels, packed, panel_begin, panel_end);
}
void PackBFloat16(const ConvolutionShape& s, const ConvolutionKernels& kernels, BFloat16* packed,
                  int64_t panel_begin, int64_t panel_end) {
#if STRIATE_TILES
  if (takes_tiles()) return pack_for_tiles<kHalfParts>(s, kernels, packed, panel_begin, panel_end);
#endif
  pack(s, kernels, packed, panel_begin, panel_end);
}
void ConvolveFloat(const ConvolutionShape& s, const DirectConvolution<float>& c, int64_t row_begin,
                   int64_t row_end, int64_t panel_begin, int64_t panel_end, float* scratch) {
  convolve(s, c, row_begin, row_end, panel_begin, panel_end, scratch);
}
void ConvolveBFloat16(const ConvolutionShape& s, const DirectConvolution<BFloat16>& c,
                      int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end,
                      BFloat16* scratch) {
#if STRIATE_TILES
  if (takes_tiles()) {
    return convolve_by_tiles<kHalfParts>(s, c, {c.packed, scratch}, row_begin, row_end, panel_begin,
                                         panel_end);
  }
#endif
  convolve(s, c, row_begin, row_end, panel_begin, panel_end, scratch);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(Panel);
HWY_EXPORT(ScratchSizeFloat);
HWY_EXPORT(ScratchSizeBFloat16);
HWY_EXPORT(PackedSizeFloat);
HWY_EXPORT(PackedSizeBFloat16);
HWY_EXPORT(PackFloat);
HWY_EXPORT(PackBFloat16);
HWY_EXPORT(ConvolveFloat);
HWY_EXPORT(ConvolveBFloat16);

int64_t direct_panel() {
  return HWY_DYNAMIC_DISPATCH(Panel)();
}

template <>
int64_t direct_scratch_size<float>(const ConvolutionShape& s) {
  return HWY_DYNAMIC_DISPATCH(ScratchSizeFloat)(s);
}
template <>
int64_t direct_scratch_size<BFloat16>(const ConvolutionShape& s) {
  return HWY_DYNAMIC_DISPATCH(ScratchSizeBFloat16)(s);
}

template <>
int64_t direct_packed_size<float>(const ConvolutionShape& s) {
  return HWY_DYNAMIC_DISPATCH(PackedSizeFloat)(s);
}
template <>
int64_t direct_packed_size<BFloat16>(const ConvolutionShape& s) {
  return HWY_DYNAMIC_DISPATCH(PackedSizeBFloat16)(s);
}

template <>
void direct_pack(const ConvolutionShape& s, const ConvolutionKernels& kernels, float* packed,
                 int64_t panel_begin, int64_t panel_end) {
  HWY_DYNAMIC_DISPATCH(PackFloat)(s, kernels, packed, panel_begin, panel_end);
}
template <>
void direct_pack(const ConvolutionShape& s, const ConvolutionKernels& kernels, BFloat16* packed,
                 int64_t panel_begin, int64_t panel_end) {
  HWY_DYNAMIC_DISPATCH(PackBFloat16)(s, kernels, packed, panel_begin, panel_end);
}

template <>
void direct_convolve(const ConvolutionShape& s, const DirectConvolution<float>& c,
                     int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end,
                     float* scratch) {
  HWY_DYNAMIC_DISPATCH(ConvolveFloat)(s, c, row_begin, row_end, panel_begin, panel_end, scratch);
}
template <>
void direct_convolve(const ConvolutionShape& s, const DirectConvolution<BFloat16>& c,
                     int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end,
                     BFloat16* scratch) {
  HWY_DYNAMIC_DISPATCH(ConvolveBFloat16)(s, c, row_begin, row_end, panel_begin, panel_end, scratch);
}

}  // namespace striate::kernels
#endif
