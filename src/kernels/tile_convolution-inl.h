// Convolutions on the processor's matrix tiles, of bfloat16, or of float32 as sums of it;
// compiled once for each instruction set (Highway's foreach_target).
#if defined(STRIATE_KERNELS_TILE_CONVOLUTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STRIATE_KERNELS_TILE_CONVOLUTION_INL_H_
#undef STRIATE_KERNELS_TILE_CONVOLUTION_INL_H_
#else
#define STRIATE_KERNELS_TILE_CONVOLUTION_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/convolution_rows-inl.h"
#include "kernels/image_stack.h"
#include "kernels/multiply_tiles-inl.h"
#include "kernels/tile_values-inl.h"

#if STRIATE_TILES

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

// Values that rows are copied to at a time: they stay in the cache beside the kernels, or, where
// these are too large for it, beside a panel of them, so that they are seldom read.
template <int64_t parts>
int64_t tile_input_size(const ConvolutionShape& s) {
  const int64_t values = cache_size() / (parts * static_cast<int64_t>(sizeof(BFloat16)));
  return 2 * packed_size<BFloat16>(s) <= values ? values / 8 : values / 2;
}

int64_t gathered_tile_row(const ConvolutionShape& s) {
  return packed_length<BFloat16>(s) + kGap;
}

ImageStack image_stack(const ConvolutionShape& s) {
  const Pieces p = pieces<BFloat16>(s);
  return {s, kTileBlockRows, p.padded - p.length};
}

// Of each part.
template <int64_t parts>
int64_t tile_rows_size(const ConvolutionShape& s) {
  const int64_t least =
      reads_stack(s) ? image_stack(s).size(1) : kTileBlockRows * gathered_tile_row(s);
  return std::max(tile_input_size<parts>(s), least);
}

template <int64_t parts>
int64_t tile_scratch_size(const ConvolutionShape& s) {
  return parts * tile_rows_size<parts>(s);
}

HWY_INLINE void load_pair(const float* from, V& left, V& right) {
  left = hn::LoadU(D(), from);
  right = hn::LoadU(D(), from + kLanes);
}

HWY_INLINE void load_pair(const BFloat16* from, V& left, V& right) {
  left = from_half(hn::LoadU(Half(), bits(from)));
  right = from_half(hn::LoadU(Half(), bits(from + kLanes)));
}

HWY_INLINE void store_pair(V left, V right, float* to) {
  hn::StoreU(left, D(), to);
  hn::StoreU(right, D(), to + kLanes);
}

HWY_INLINE void store_pair(V left, V right, BFloat16* to) {
  hn::StoreU(round_pair(left, right), Halves(), bits(to));
}

// Stores what becomes of the sums of channels [begin, end), as far as there are so many.
template <typename T>
HWY_INLINE void finish_pixel(const ConvolutionShape& s, const DirectConvolution<T>& c, int64_t row,
                             const float* sums, int64_t begin, int64_t end) {
  const D d;
  const float* bias = c.epilogue.bias;
  const bool rectify = c.epilogue.relu;
  const EpilogueRow<T> added(c.epilogue, row);
  T* to = c.output + row * c.output_stride;
  int64_t k = begin;
  for (; k + kPanel <= std::min(end, s.out_channels); k += kPanel, sums += kPanel) {
    V left = hn::Load(d, sums);
    V right = hn::Load(d, sums + kLanes);
    if (bias != nullptr) {
      left = hn::Add(left, hn::LoadU(d, bias + k));
      right = hn::Add(right, hn::LoadU(d, bias + k + kLanes));
    }
    if (added.residual != nullptr) {
      V left_residual;
      V right_residual;
      load_pair(added.residual + k, left_residual, right_residual);
      left = hn::Add(left, left_residual);
      right = hn::Add(right, right_residual);
    }
    if (rectify) {
      left = relu(left);
      right = relu(right);
    }
    if (added.gate != nullptr) {
      const V zero = hn::Zero(d);
      V left_gate;
      V right_gate;
      load_pair(added.gate + k, left_gate, right_gate);
      left = hn::IfThenZeroElse(hn::Le(left_gate, zero), left);
      right = hn::IfThenZeroElse(hn::Le(right_gate, zero), right);
    }
    store_pair(left, right, to + k);
  }
  for (; k < std::min(end, s.out_channels); k += kLanes, sums += kLanes) {
    store(finish(hn::Load(d, sums), c.epilogue, added, k, s.out_channels), to, k, s.out_channels);
  }
}

// Panels whose kernels are multiplied with a block of rows before its outputs are finished, pixel
// by pixel: kernels and sums stay in the cache, and outputs are written in their order.
constexpr int64_t kMostPanels = 8;
template <int64_t parts>
int64_t panels_at_a_time(const ConvolutionShape& s) {
  const int64_t values = cache_size() / 4 / (parts * static_cast<int64_t>(sizeof(BFloat16)));
  return std::clamp<int64_t>(values / (packed_length<BFloat16>(s) * kPanel), 1, kMostPanels);
}

// Rows that are multiplied with panels.
struct TileInput {
  const BFloat16* rows;
  int64_t stride;
  int64_t part;  // from one part of the values to the next
  std::span<const int64_t> pieces;
  int64_t piece_length;
  int64_t count;
  bool near;  // in the cache
};

// Brings near what the outputs of rows [begin, end) are added to, or where they go.
template <typename T, typename Output>
RowsAhead outputs_ahead(const DirectConvolution<T>& c, int64_t first, const Output& output,
                        int64_t begin, int64_t end, int64_t channel, int64_t channels,
                        int64_t times) {
  while (begin < end && output(begin) < 0) ++begin;
  while (begin < end && output(end - 1) < 0) --end;
  if (begin == end) return {};
  const bool added = c.epilogue.residual != nullptr;
  const T* values = added ? c.epilogue.residual : c.output;
  const int64_t stride = added ? c.epilogue.residual_stride : c.output_stride;
  return {values + (first + output(begin)) * stride + channel, stride,
          output(end - 1) + 1 - output(begin), channels, times};
}

// A convolution's kernels, packed for tiles, and memory for its rows.
struct TileMemory {
  const BFloat16* packed;
  BFloat16* rows;
};

// `output(i)`: the one of row i, from `first` on, or -1.
template <int64_t parts, typename T, typename Output>
void multiply_panels(const ConvolutionShape& s, const DirectConvolution<T>& c,
                     const BFloat16* packed, const TileInput& input, int64_t first,
                     const Output& output, int64_t panel_begin, int64_t panel_end) {
  constexpr int64_t kSumsRow = kMostPanels * kPanel + kLanes;
  alignas(64) float sums[kTileBlockRows * kSumsRow];
  const int64_t length = packed_length<BFloat16>(s);
  const int64_t most = panels_at_a_time<parts>(s);
  for (int64_t group = panel_begin; group < panel_end; group += most) {
    const int64_t group_end = std::min(panel_end, group + most);
    const int64_t channels = (group_end - group) * kPanel;
    const int64_t times = channels / kPanel * length / kTileLength;
    for (int64_t begin = 0; begin < input.count; begin += kTileBlockRows) {
      const int64_t end = std::min(input.count, begin + kTileBlockRows);
      const BFloat16* rows = input.rows + begin * input.stride;
      const int64_t next = std::min(input.count, end + kTileBlockRows) - end;
      RowsAhead inputs =
          input.near || group > panel_begin
              ? RowsAhead()
              : RowsAhead(rows + kTileBlockRows * input.stride, input.stride, next, length, times);
      RowsAhead outputs =
          outputs_ahead(c, first, output, begin, end, group * kPanel, channels, times);
      const auto fetch = [&] {
        inputs.fetch();
        outputs.fetch();
      };
      for (int64_t panel = group; panel < group_end; ++panel) {
        const TileOperands p = {.a = rows,
                                .a_row = input.stride,
                                .a_part = input.part,
                                .pieces = input.pieces,
                                .piece_length = input.piece_length,
                                .b = packed + panel * parts * length * kPanel};
        float* to = sums + (panel - group) * kPanel;
        end - begin > kTileRows ? multiply_tiles<parts, kTileBlockRows>(p, to, kSumsRow, fetch)
                                : multiply_tiles<parts, kTileRows>(p, to, kSumsRow, fetch);
      }
      for (int64_t i = begin; i < end; ++i) {
        if (output(i) < 0) continue;
        finish_pixel(s, c, first + output(i), sums + (i - begin) * kSumsRow, group * kPanel,
                     group_end * kPanel);
      }
    }
  }
}

// Values on their way to rows for tiles; `part`: from one part of them to the next.
template <int64_t parts>
HWY_INLINE void copy_for_tiles(const BFloat16* from, int64_t count, int64_t, BFloat16* to) {
  std::copy_n(from, count, to);
}

template <int64_t parts>
HWY_INLINE void copy_for_tiles(const float* from, int64_t count, int64_t part, BFloat16* to) {
  constexpr int64_t kStep = 2 * kLanes;
  int64_t i = 0;
  for (; i + kStep <= count; i += kStep) {
    const SplitPair<parts> split(hn::LoadU(D(), from + i), hn::LoadU(D(), from + i + kLanes));
    for (int64_t p = 0; p < parts; ++p) {
      hn::StoreU(split.parts[p], Halves(), bits(to + p * part + i));
    }
  }
  if (i == count) return;
  const SplitPair<parts> split(load(from, i, count), load(from, i + kLanes, count));
  for (int64_t p = 0; p < parts; ++p) {
    BFloat16 last[kStep];
    hn::StoreU(split.parts[p], Halves(), bits(last));
    std::copy_n(last, count - i, to + p * part + i);
  }
}

template <int64_t parts>
void clear_for_tiles(int64_t count, int64_t part, BFloat16* to) {
  for (int64_t p = 0; p < parts; ++p) std::fill_n(to + p * part, count, BFloat16{});
}

template <int64_t parts, typename T>
void convolve_stacked(const ConvolutionShape& s, const DirectConvolution<T>& c,
                      const TileMemory& memory, int64_t row_begin, int64_t row_end,
                      int64_t panel_begin, int64_t panel_end) {
  ImageStack stack = image_stack(s);
  const int64_t part = tile_rows_size<parts>(s);
  const int64_t lines = stack.lines(tile_input_size<parts>(s));
  for (int64_t first = row_begin; first < row_end;) {
    const int64_t end = std::min(row_end, stack.end(first, lines));
    stack.lay_out(c.input_stride, first, end);
    BFloat16* to = memory.rows;
    for (const ImageStack::Run& run : stack.runs()) {
      run.from < 0 ? clear_for_tiles<parts>(run.count, part, to)
                   : copy_for_tiles<parts>(c.input + run.from, run.count, part, to);
      to += run.count;
    }
    const auto& outputs = stack.outputs();
    const TileInput input = {.rows = memory.rows + stack.first_place() * stack.stride(),
                             .stride = stack.stride(),
                             .part = part,
                             .pieces = stack.kernel_lines(),
                             .piece_length = pieces<BFloat16>(s).padded,
                             .count = static_cast<int64_t>(outputs.size()),
                             .near = true};
    multiply_panels<parts>(
        s, c, memory.packed, input, first,
        [&](int64_t i) { return outputs[static_cast<size_t>(i)]; }, panel_begin, panel_end);
    first = end;
  }
}

// The inputs under the kernel at `row`, in float32 or as they are to be multiplied.
template <typename T>
void gather_for_tiles(const ConvolutionShape& s, const DirectConvolution<T>& c, int64_t row,
                      T* to) {
  gather_row(s, c, row, {0, s.length()}, to);
  if (c.scale != nullptr) normalize_row(c, {0, s.length()}, to);
}

template <int64_t parts, typename T>
void convolve_rows(const ConvolutionShape& s, const DirectConvolution<T>& c,
                   const TileMemory& memory, int64_t row_begin, int64_t row_end,
                   int64_t panel_begin, int64_t panel_end) {
  static constexpr int64_t kWhole[] = {0};
  constexpr bool kSplits = parts != kHalfParts;
  const int64_t length = packed_length<BFloat16>(s);
  const int64_t stride = gathered_tile_row(s);
  const int64_t part = tile_rows_size<parts>(s);
  const bool in_place = rows_lie_in_place(s, c) && (kSplits || length == s.length());
  const int64_t most =
      std::max<int64_t>(1, tile_input_size<parts>(s) / stride / kTileBlockRows) * kTileBlockRows;
  std::vector<T> gathered(kSplits && !in_place ? static_cast<size_t>(s.length()) : 0);
  for (int64_t first = row_begin; first < row_end;) {
    int64_t rows = std::min(row_end - first, most);
    // Tiles are read whole, which the last rows are not.
    const bool here = !kSplits && in_place && rows >= kTileBlockRows;
    if (here) rows = rows / kTileBlockRows * kTileBlockRows;
    for (int64_t i = 0; !here && i < rows; ++i) {
      BFloat16* to = memory.rows + i * stride;
      if constexpr (kSplits) {
        const T* from = c.input + (first + i) * c.input_stride;
        if (!in_place) {
          gather_for_tiles(s, c, first + i, gathered.data());
          from = gathered.data();
        }
        copy_for_tiles<parts>(from, s.length(), part, to);
      } else {
        gather_for_tiles(s, c, first + i, to);
      }
      clear_for_tiles<parts>(length - s.length(), part, to + s.length());
    }
    TileInput input = {.rows = memory.rows,
                       .stride = stride,
                       .part = part,
                       .pieces = kWhole,
                       .piece_length = length,
                       .count = rows,
                       .near = !here};
    if constexpr (!kSplits) {
      if (here) {
        input.rows = c.input + first * c.input_stride;
        input.stride = c.input_stride;
      }
    }
    multiply_panels<parts>(
        s, c, memory.packed, input, first, [](int64_t i) { return i; }, panel_begin, panel_end);
    first += rows;
  }
}

template <int64_t parts, typename T>
void convolve_by_tiles(const ConvolutionShape& s, const DirectConvolution<T>& c,
                       const TileMemory& memory, int64_t row_begin, int64_t row_end,
                       int64_t panel_begin, int64_t panel_end) {
  const Tiles tiles;
  if (reads_stack(s)) {
    convolve_stacked<parts>(s, c, memory, row_begin, row_end, panel_begin, panel_end);
  } else {
    convolve_rows<parts>(s, c, memory, row_begin, row_end, panel_begin, panel_end);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#endif
#endif
