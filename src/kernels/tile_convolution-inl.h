// Convolutions of bfloat16 on the processor's matrix tiles; compiled once for each instruction set
// (Highway's foreach_target).
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

#include "kernels/convolution_rows-inl.h"
#include "kernels/image_stack.h"
#include "kernels/multiply_tiles-inl.h"

#if STRIATE_TILES

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

// Values that rows are copied to at a time: they stay in the cache beside the kernels, or, where
// these are too large for it, beside a panel of them, so that they are seldom read.
int64_t tile_input_size(const ConvolutionShape& s) {
  const int64_t values = cache_size() / static_cast<int64_t>(sizeof(BFloat16));
  return cache_holds_kernels<BFloat16>(s) ? values / 8 : values / 2;
}

int64_t gathered_tile_row(const ConvolutionShape& s) {
  return packed_length<BFloat16>(s) + kGap;
}

ImageStack image_stack(const ConvolutionShape& s) {
  const Pieces p = pieces<BFloat16>(s);
  return {s, kTileBlockRows, p.padded - p.length};
}

int64_t tile_scratch_size(const ConvolutionShape& s) {
  const int64_t least =
      reads_stack(s) ? image_stack(s).size(1) : kTileBlockRows * gathered_tile_row(s);
  return std::max(tile_input_size(s), least);
}

// Two vectors side by side.
HWY_INLINE void store_rounded(V left, V right, BFloat16* to) {
  hn::Vec<hn::Repartition<uint16_t, D>> both;
  asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(both.raw) : "v"(left.raw), "v"(right.raw));
  hn::StoreU(both, hn::Repartition<uint16_t, D>(), bits(to));
}

// Stores what becomes of the sums of channels [begin, end), as far as there are so many.
HWY_INLINE void finish_pixel(const ConvolutionShape& s, const DirectConvolution<BFloat16>& c,
                             int64_t row, const float* sums, int64_t begin, int64_t end) {
  const D d;
  const float* bias = c.epilogue.bias;
  const bool rectify = c.epilogue.relu;
  const EpilogueRow<BFloat16> added(c.epilogue, row);
  BFloat16* to = c.output + row * c.output_stride;
  int64_t k = begin;
  for (; k + kPanel <= std::min(end, s.out_channels); k += kPanel, sums += kPanel) {
    V left = hn::Load(d, sums);
    V right = hn::Load(d, sums + kLanes);
    if (bias != nullptr) {
      left = hn::Add(left, hn::LoadU(d, bias + k));
      right = hn::Add(right, hn::LoadU(d, bias + k + kLanes));
    }
    if (added.residual != nullptr) {
      left = hn::Add(left, from_half(hn::LoadU(Half(), bits(added.residual + k))));
      right = hn::Add(right, from_half(hn::LoadU(Half(), bits(added.residual + k + kLanes))));
    }
    if (rectify) {
      left = relu(left);
      right = relu(right);
    }
    if (added.gate != nullptr) {
      const V zero = hn::Zero(d);
      const V left_gate = from_half(hn::LoadU(Half(), bits(added.gate + k)));
      const V right_gate = from_half(hn::LoadU(Half(), bits(added.gate + k + kLanes)));
      left = hn::IfThenZeroElse(hn::Le(left_gate, zero), left);
      right = hn::IfThenZeroElse(hn::Le(right_gate, zero), right);
    }
    store_rounded(left, right, to + k);
  }
  for (; k < std::min(end, s.out_channels); k += kLanes, sums += kLanes) {
    store(finish(hn::Load(d, sums), c.epilogue, added, k, s.out_channels), to, k, s.out_channels);
  }
}

// Panels whose kernels are multiplied with a block of rows before its outputs are finished, pixel
// by pixel: kernels and sums stay in the cache, and outputs are written in their order.
constexpr int64_t kMostPanels = 8;
int64_t panels_at_a_time(const ConvolutionShape& s) {
  const int64_t values = cache_size() / 4 / static_cast<int64_t>(sizeof(BFloat16));
  return std::clamp<int64_t>(values / (packed_length<BFloat16>(s) * kPanel), 1, kMostPanels);
}

// Rows that are multiplied with panels.
struct TileInput {
  const BFloat16* rows;
  int64_t stride;
  std::span<const int64_t> pieces;
  int64_t piece_length;
  int64_t count;
  bool near;  // in the cache
};

// Brings near what the outputs of rows [begin, end) are added to, or where they go.
template <typename Output>
RowsAhead outputs_ahead(const DirectConvolution<BFloat16>& c, int64_t first, const Output& output,
                        int64_t begin, int64_t end, int64_t channel, int64_t channels,
                        int64_t times) {
  while (begin < end && output(begin) < 0) ++begin;
  while (begin < end && output(end - 1) < 0) --end;
  if (begin == end) return {};
  const bool added = c.epilogue.residual != nullptr;
  const BFloat16* values = added ? c.epilogue.residual : c.output;
  const int64_t stride = added ? c.epilogue.residual_stride : c.output_stride;
  return {values + (first + output(begin)) * stride + channel, stride,
          output(end - 1) + 1 - output(begin), channels, times};
}

// `output(i)`: the one of row i, from `first` on, or -1.
template <typename Output>
void multiply_panels(const ConvolutionShape& s, const DirectConvolution<BFloat16>& c,
                     const TileInput& input, int64_t first, const Output& output,
                     int64_t panel_begin, int64_t panel_end) {
  constexpr int64_t kSumsRow = kMostPanels * kPanel + kLanes;
  alignas(64) float sums[kTileBlockRows * kSumsRow];
  const int64_t length = packed_length<BFloat16>(s);
  const int64_t most = panels_at_a_time(s);
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
      for (int64_t panel = group; panel < group_end; ++panel) {
        const TileOperands p = {.a = rows,
                                .a_row = input.stride,
                                .pieces = input.pieces,
                                .piece_length = input.piece_length,
                                .b = c.packed + panel * length * kPanel};
        float* to = sums + (panel - group) * kPanel;
        end - begin > kTileRows ? multiply_tiles<kTileBlockRows>(p, to, kSumsRow, inputs, outputs)
                                : multiply_tiles<kTileRows>(p, to, kSumsRow, inputs, outputs);
      }
      for (int64_t i = begin; i < end; ++i) {
        if (output(i) < 0) continue;
        finish_pixel(s, c, first + output(i), sums + (i - begin) * kSumsRow, group * kPanel,
                     group_end * kPanel);
      }
    }
  }
}

void convolve_stacked(const ConvolutionShape& s, const DirectConvolution<BFloat16>& c,
                      int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end,
                      BFloat16* scratch) {
  ImageStack stack = image_stack(s);
  const int64_t lines = stack.lines(tile_input_size(s));
  for (int64_t first = row_begin; first < row_end;) {
    const int64_t end = std::min(row_end, stack.end(first, lines));
    stack.fill(c.input, c.input_stride, first, end, scratch);
    const auto& outputs = stack.outputs();
    const TileInput input = {.rows = scratch + stack.first_place() * stack.stride(),
                             .stride = stack.stride(),
                             .pieces = stack.kernel_lines(),
                             .piece_length = pieces<BFloat16>(s).padded,
                             .count = static_cast<int64_t>(outputs.size()),
                             .near = true};
    multiply_panels(
        s, c, input, first, [&](int64_t i) { return outputs[static_cast<size_t>(i)]; }, panel_begin,
        panel_end);
    first = end;
  }
}

void convolve_rows(const ConvolutionShape& s, const DirectConvolution<BFloat16>& c,
                   int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end,
                   BFloat16* scratch) {
  static constexpr int64_t kWhole[] = {0};
  const int64_t length = packed_length<BFloat16>(s);
  const int64_t stride = gathered_tile_row(s);
  const bool in_place = rows_lie_in_place(s, c);
  const int64_t most =
      std::max<int64_t>(1, tile_input_size(s) / stride / kTileBlockRows) * kTileBlockRows;
  for (int64_t first = row_begin; first < row_end;) {
    int64_t rows = std::min(row_end - first, most);
    // Tiles are read whole, which the last rows are not.
    const bool here = in_place && rows >= kTileBlockRows;
    if (here) rows = rows / kTileBlockRows * kTileBlockRows;
    for (int64_t i = 0; !here && i < rows; ++i) {
      BFloat16* to = scratch + i * stride;
      gather_row(s, c, first + i, {0, s.length()}, to);
      if (c.scale != nullptr) normalize_row(c, {0, s.length()}, to);
      std::fill(to + s.length(), to + length, BFloat16{});
    }
    const TileInput input = {.rows = here ? c.input + first * c.input_stride : scratch,
                             .stride = here ? c.input_stride : stride,
                             .pieces = kWhole,
                             .piece_length = length,
                             .count = rows,
                             .near = !here};
    multiply_panels(
        s, c, input, first, [](int64_t i) { return i; }, panel_begin, panel_end);
    first += rows;
  }
}

void convolve_by_tiles(const ConvolutionShape& s, const DirectConvolution<BFloat16>& c,
                       int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end,
                       BFloat16* scratch) {
  const Tiles tiles;
  if (reads_stack(s)) {
    convolve_stacked(s, c, row_begin, row_end, panel_begin, panel_end, scratch);
  } else {
    convolve_rows(s, c, row_begin, row_end, panel_begin, panel_end, scratch);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#endif
#endif
