#include "kernels/direct_convolution.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/direct_convolution.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/multiply-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

// Rows and products at a time: what is gathered, and a panel of kernels, stay in the cache.
constexpr int64_t kBlockRows = 4 * kRows;
constexpr int64_t kBlockLength = 2048;
// Between gathered rows, so that they do not all fall into the same lines of the cache.
constexpr int64_t kGap = 16;

int64_t Panel() {
  return kPanel;
}

int64_t ScratchSize(const ConvolutionShape& s) {
  return kBlockRows * (std::min(s.length(), kBlockLength) + kGap);
}

void Pack(const ConvolutionShape& s, const float* kernels, float* packed, int64_t panel_begin,
          int64_t panel_end) {
  const int64_t length = s.length();
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    float* to = packed + panel * length * kPanel;
    const int64_t count = std::min(kPanel, s.out_channels - panel * kPanel);
    if (count < kPanel) std::fill_n(to, length * kPanel, 0.0F);
    for (int64_t k = 0; k < count; ++k) {
      const float* from = kernels + (panel * kPanel + k) * length;
      for (int64_t r = 0; r < length; ++r) to[r * kPanel + k] = from[r];
    }
  }
}

// Which of the products of an output are summed at a time.
struct Part {
  int64_t begin;
  int64_t end;
  int64_t length() const { return end - begin; }
};

// Where the kernel lies at one output pixel.
struct Position {
  const float* image;
  int64_t y;
  int64_t x;
};

Position position(const ConvolutionShape& s, const DirectConvolution& c, int64_t row) {
  const int64_t pixels = s.out_height() * s.out_width();
  return {.image = c.input + row / pixels * s.height * s.width * c.input_stride,
          .y = row % pixels / s.out_width() * s.stride_height - s.pad_height,
          .x = row % s.out_width() * s.stride_width - s.pad_width};
}

// The inputs under the kernel, zero where there are none: tap by tap.
void gather_taps(const ConvolutionShape& s, const DirectConvolution& c, const Position& at,
                 const Part& part, float* to) {
  const int64_t tap_end = (part.end + s.in_channels - 1) / s.in_channels;
  for (int64_t tap = part.begin / s.in_channels; tap < tap_end; ++tap) {
    const int64_t begin = std::max(part.begin - tap * s.in_channels, int64_t{0});
    const int64_t end = std::min(part.end - tap * s.in_channels, s.in_channels);
    const int64_t y = at.y + tap / s.kernel_width * s.dilation_height;
    const int64_t x = at.x + tap % s.kernel_width * s.dilation_width;
    const bool inside = y >= 0 && y < s.height && x >= 0 && x < s.width;
    if (inside) {
      std::copy_n(at.image + (y * s.width + x) * c.input_stride + begin, end - begin, to);
    } else {
      std::fill_n(to, end - begin, 0.0F);
    }
    to += end - begin;
  }
}

// The same of the whole kernel, where pixels lie close to each other: row by row.
void gather_rows(const ConvolutionShape& s, const DirectConvolution& c, const Position& at,
                 float* to) {
  const int64_t row = s.kernel_width * s.in_channels;
  const int64_t x_begin = std::clamp(-at.x, int64_t{0}, s.kernel_width) * s.in_channels;
  const int64_t x_end = std::clamp(s.width - at.x, int64_t{0}, s.kernel_width) * s.in_channels;
  for (int64_t i = 0; i < s.kernel_height; ++i, to += row) {
    const int64_t y = at.y + i * s.dilation_height;
    if (y < 0 || y >= s.height || x_begin >= x_end) {
      std::fill_n(to, row, 0.0F);
      continue;
    }
    const float* from = at.image + (y * s.width + at.x) * s.in_channels;
    std::fill_n(to, x_begin, 0.0F);
    std::copy(from + x_begin, from + x_end, to + x_begin);
    std::fill(to + x_end, to + row, 0.0F);
  }
}

void gather_row(const ConvolutionShape& s, const DirectConvolution& c, int64_t row,
                const Part& part, float* to) {
  const Position at = position(s, c, row);
  const bool by_rows =
      s.dilation_width == 1 && c.input_stride == s.in_channels && part.length() == s.length();
  by_rows ? gather_rows(s, c, at, to) : gather_taps(s, c, at, part, to);
}

void normalize_row(const DirectConvolution& c, const Part& part, float* row) {
  const int64_t length = part.length();
  for (int64_t i = 0; i < length; i += kLanes) {
    const V scaled = hn::MulAdd(load(row, i, length), load(c.scale + part.begin, i, length),
                                load(c.shift + part.begin, i, length));
    store(relu(scaled), row, i, length);
  }
}

// Rows that lie at one distance from each other, and whose distance does not put them all into the
// same lines of the cache, are read where they are.
bool reads_in_place(const ConvolutionShape& s, const DirectConvolution& c) {
  return s.is_pointwise() && s.stride_height == 1 && s.stride_width == 1 && s.pad_height == 0 &&
         s.pad_width == 0 && c.scale == nullptr && (c.input_stride % 1024 != 0 || s.rows() < kRows);
}

void multiply_block(const ConvolutionShape& s, const DirectConvolution& c, const Operands& a,
                    const Part& part, int64_t row_begin, int64_t rows, int64_t panel) {
  const int64_t column = panel * kPanel;
  const int64_t count = s.out_channels - column;
  const bool starts = part.begin == 0;
  const bool ends = part.end == s.length();
  const Epilogue epilogue = {
      .bias = c.epilogue.bias == nullptr ? nullptr : c.epilogue.bias + column,
      .relu = c.epilogue.relu};
  float* output = c.output + row_begin * c.output_stride + column;
  const float* residual =
      c.epilogue.residual == nullptr
          ? nullptr
          : c.epilogue.residual + row_begin * c.epilogue.residual_stride + column;
  Operands p = a;
  p.b = c.packed + (panel * s.length() + part.begin) * kPanel;
  multiply(p, rows, [&](int64_t i, V left, V right) {
    float* to = output + i * c.output_stride;
    if (!starts) {
      left = hn::Add(left, load(to, 0, count));
      right = hn::Add(right, load(to, kLanes, count));
    }
    if (ends) {
      const float* added =
          residual == nullptr ? nullptr : residual + i * c.epilogue.residual_stride;
      left = finish(left, epilogue, added, 0, count);
      right = finish(right, epilogue, added, kLanes, count);
    }
    store(left, to, 0, count);
    store(right, to, kLanes, count);
  });
}

void Convolve(const ConvolutionShape& s, const DirectConvolution& c, int64_t row_begin,
              int64_t row_end, int64_t panel_begin, int64_t panel_end, float* scratch) {
  const bool in_place = reads_in_place(s, c);
  const int64_t parts = (s.length() + kBlockLength - 1) / kBlockLength;
  const int64_t blocks = (row_end - row_begin + kBlockRows - 1) / kBlockRows;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = row_begin + (row_end - row_begin) * block / blocks;
    const int64_t rows = row_begin + (row_end - row_begin) * (block + 1) / blocks - first;
    for (int64_t i = 0; i < parts; ++i) {
      const Part part = {s.length() * i / parts, s.length() * (i + 1) / parts};
      const int64_t gathered_row = part.length() + kGap;
      for (int64_t row = 0; !in_place && row < rows; ++row) {
        float* to = scratch + row * gathered_row;
        gather_row(s, c, first + row, part, to);
        if (c.scale != nullptr) normalize_row(c, part, to);
      }
      const Operands a = {.a = in_place ? c.input + first * c.input_stride + part.begin : scratch,
                          .a_row = in_place ? c.input_stride : gathered_row,
                          .a_sum = 1,
                          .b = nullptr,
                          .b_sum = kPanel,
                          .length = part.length()};
      for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
        multiply_block(s, c, a, part, first, rows, panel);
      }
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(Panel);
HWY_EXPORT(ScratchSize);
HWY_EXPORT(Pack);
HWY_EXPORT(Convolve);

int64_t direct_panel() {
  return HWY_DYNAMIC_DISPATCH(Panel)();
}

int64_t direct_packed_size(const ConvolutionShape& shape) {
  const int64_t panel = direct_panel();
  return (shape.out_channels + panel - 1) / panel * panel * shape.length();
}

void direct_pack(const ConvolutionShape& shape, const float* kernels, float* packed,
                 int64_t panel_begin, int64_t panel_end) {
  HWY_DYNAMIC_DISPATCH(Pack)(shape, kernels, packed, panel_begin, panel_end);
}

int64_t direct_scratch_size(const ConvolutionShape& shape) {
  return HWY_DYNAMIC_DISPATCH(ScratchSize)(shape);
}

void direct_convolve(const ConvolutionShape& shape, const DirectConvolution& convolution,
                     int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end,
                     float* scratch) {
  HWY_DYNAMIC_DISPATCH(Convolve)
  (shape, convolution, row_begin, row_end, panel_begin, panel_end, scratch);
}

}  // namespace striate::kernels
#endif
