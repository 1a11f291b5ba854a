// A convolution as a product of rows of inputs with packed kernels; compiled once for each
// instruction set (Highway's foreach_target).
#if defined(STRIATE_KERNELS_CONVOLUTION_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STRIATE_KERNELS_CONVOLUTION_ROWS_INL_H_
#undef STRIATE_KERNELS_CONVOLUTION_ROWS_INL_H_
#else
#define STRIATE_KERNELS_CONVOLUTION_ROWS_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/cache.h"
#include "kernels/direct_convolution.h"
#include "kernels/image_stack.h"
#include "kernels/multiply-inl.h"
#include "kernels/multiply_tiles-inl.h"
#include "kernels/tiles.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

// Between gathered rows, so that they do not all fall into the same lines of the cache.
constexpr int64_t kGap = 16;

template <typename T>
constexpr bool kHalf = std::is_same_v<T, BFloat16>;

bool takes_tiles() {
  return STRIATE_TILES && multiplies_by_tiles();
}

// What is summed at one place after another: all products of an output, or, where tiles read a
// stack of images, those of a line of the kernel. Pieces are padded to pairs or to what a tile
// takes.
struct Pieces {
  int64_t count;
  int64_t length;
  int64_t padded;
};

bool reads_stack(const ConvolutionShape& s) {
  return takes_tiles() && !s.is_pointwise() && ImageStack::fits(s);
}

template <typename T>
Pieces pieces(const ConvolutionShape& s) {
  const int64_t count = kHalf<T> && reads_stack(s) ? s.kernel_height : 1;
  const int64_t length = s.length() / count;
  const int64_t step = !kHalf<T> ? 1 : takes_tiles() ? kTileLength : 2;
  return {count, length, (length + step - 1) / step * step};
}

template <typename T>
int64_t packed_length(const ConvolutionShape& s) {
  const Pieces p = pieces<T>(s);
  return p.count * p.padded;
}

template <typename T>
int64_t packed_size(const ConvolutionShape& s) {
  return padded(s.out_channels) * packed_length<T>(s);
}

// Which of the products of an output are summed at a time.
struct Part {
  int64_t begin;
  int64_t end;
  int64_t length() const { return end - begin; }
};

// Whether they stay in the cache beside what they are multiplied with.
template <typename T>
bool cache_holds_kernels(const ConvolutionShape& s) {
  return 2 * packed_size<T>(s) * static_cast<int64_t>(sizeof(T)) <= cache_size();
}

// Whether inputs are rows already, at one distance from each other.
template <typename T>
bool rows_lie_in_place(const ConvolutionShape& s, const DirectConvolution<T>& c) {
  return s.is_pointwise() && s.stride_height == 1 && s.stride_width == 1 && s.pad_height == 0 &&
         s.pad_width == 0 && c.scale == nullptr;
}

// Where the kernel lies at one output pixel.
template <typename T>
struct Position {
  const T* image;
  int64_t y;
  int64_t x;
};

template <typename T>
Position<T> position(const ConvolutionShape& s, const DirectConvolution<T>& c, int64_t row) {
  const int64_t pixels = s.out_height() * s.out_width();
  return {.image = c.input + row / pixels * s.height * s.width * c.input_stride,
          .y = row % pixels / s.out_width() * s.stride_height - s.pad_height,
          .x = row % s.out_width() * s.stride_width - s.pad_width};
}

// The inputs under the kernel, zero where there are none: tap by tap.
template <typename T>
void gather_taps(const ConvolutionShape& s, const DirectConvolution<T>& c, const Position<T>& at,
                 const Part& part, T* to) {
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
      std::fill_n(to, end - begin, T{});
    }
    to += end - begin;
  }
}

// The same of the whole kernel, where pixels lie close to each other: row by row.
template <typename T>
void gather_rows(const ConvolutionShape& s, const DirectConvolution<T>& c, const Position<T>& at,
                 T* to) {
  const int64_t row = s.kernel_width * s.in_channels;
  const int64_t x_begin = std::clamp(-at.x, int64_t{0}, s.kernel_width) * s.in_channels;
  const int64_t x_end = std::clamp(s.width - at.x, int64_t{0}, s.kernel_width) * s.in_channels;
  for (int64_t i = 0; i < s.kernel_height; ++i, to += row) {
    const int64_t y = at.y + i * s.dilation_height;
    if (y < 0 || y >= s.height || x_begin >= x_end) {
      std::fill_n(to, row, T{});
      continue;
    }
    const T* from = at.image + (y * s.width + at.x) * s.in_channels;
    std::fill_n(to, x_begin, T{});
    std::copy(from + x_begin, from + x_end, to + x_begin);
    std::fill(to + x_end, to + row, T{});
  }
}

template <typename T>
void gather_row(const ConvolutionShape& s, const DirectConvolution<T>& c, int64_t row,
                const Part& part, T* to) {
  const Position<T> at = position(s, c, row);
  const bool by_rows =
      s.dilation_width == 1 && c.input_stride == s.in_channels && part.length() == s.length();
  by_rows ? gather_rows(s, c, at, to) : gather_taps(s, c, at, part, to);
}

template <typename T>
void normalize_row(const DirectConvolution<T>& c, const Part& part, T* row) {
  const int64_t length = part.length();
  for (int64_t i = 0; i < length; i += kLanes) {
    const V scaled = hn::MulAdd(load(row, i, length), load(c.scale + part.begin, i, length),
                                load(c.shift + part.begin, i, length));
    store(relu(scaled), row, i, length);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#endif
