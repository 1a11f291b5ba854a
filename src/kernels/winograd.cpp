#include "kernels/winograd.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/winograd.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/multiply-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

// lavin2016, 4.3: the matrices of F(4x4, 3x3), each as a function of one column.

// B^T d
HWY_INLINE void input_transform(const V* d, V* out) {
  const D tag;
  const V four = hn::Set(tag, 4.0F);
  const V five = hn::Set(tag, 5.0F);
  const V two = hn::Set(tag, 2.0F);
  const V even = hn::NegMulAdd(four, d[2], d[4]);
  const V odd = hn::NegMulAdd(four, d[1], d[3]);
  const V even2 = hn::Sub(d[4], d[2]);
  const V odd2 = hn::Mul(two, hn::Sub(d[3], d[1]));
  out[0] = hn::MulAdd(four, d[0], hn::NegMulAdd(five, d[2], d[4]));
  out[1] = hn::Add(even, odd);
  out[2] = hn::Sub(even, odd);
  out[3] = hn::Add(even2, odd2);
  out[4] = hn::Sub(even2, odd2);
  out[5] = hn::MulAdd(four, d[1], hn::NegMulAdd(five, d[3], d[5]));
}

// G g
HWY_INLINE void kernel_transform(const V* g, V* out) {
  const D tag;
  const V sixth = hn::Set(tag, 1.0F / 6);
  const V outer = hn::Add(g[0], g[2]);
  const V wide = hn::MulAdd(hn::Set(tag, 1.0F / 24), g[0], hn::Mul(sixth, g[2]));
  const V middle = hn::Mul(hn::Set(tag, 1.0F / 12), g[1]);
  out[0] = hn::Mul(hn::Set(tag, 0.25F), g[0]);
  out[1] = hn::Neg(hn::Mul(sixth, hn::Add(outer, g[1])));
  out[2] = hn::Neg(hn::Mul(sixth, hn::Sub(outer, g[1])));
  out[3] = hn::Add(wide, middle);
  out[4] = hn::Sub(wide, middle);
  out[5] = g[2];
}

// A^T m
HWY_INLINE void output_transform(const V* m, V* out) {
  const D tag;
  const V sum1 = hn::Add(m[1], m[2]);
  const V sum2 = hn::Add(m[3], m[4]);
  const V difference1 = hn::Sub(m[1], m[2]);
  const V difference2 = hn::Sub(m[3], m[4]);
  out[0] = hn::Add(m[0], hn::Add(sum1, sum2));
  out[1] = hn::MulAdd(hn::Set(tag, 2.0F), difference2, difference1);
  out[2] = hn::MulAdd(hn::Set(tag, 4.0F), sum2, sum1);
  out[3] = hn::Add(m[5], hn::MulAdd(hn::Set(tag, 8.0F), difference2, difference1));
}

// A y, the transpose of the above
HWY_INLINE void gradient_transform(const V* y, V* out) {
  const D tag;
  const V two = hn::Set(tag, 2.0F);
  const V four = hn::Set(tag, 4.0F);
  const V even = hn::Add(y[0], y[2]);
  const V odd = hn::Add(y[1], y[3]);
  const V even2 = hn::MulAdd(four, y[2], y[0]);
  const V odd2 = hn::Mul(two, hn::MulAdd(four, y[3], y[1]));
  out[0] = y[0];
  out[1] = hn::Add(even, odd);
  out[2] = hn::Sub(even, odd);
  out[3] = hn::Add(even2, odd2);
  out[4] = hn::Sub(even2, odd2);
  out[5] = y[3];
}

// G^T s
HWY_INLINE void kernel_gradient_transform(const V* s, V* out) {
  const D tag;
  const V sixth = hn::Set(tag, 1.0F / 6);
  const V sum1 = hn::Add(s[1], s[2]);
  const V sum2 = hn::Add(s[3], s[4]);
  out[0] = hn::MulAdd(hn::Set(tag, 0.25F), s[0],
                      hn::MulAdd(hn::Set(tag, 1.0F / 24), sum2, hn::Neg(hn::Mul(sixth, sum1))));
  out[1] =
      hn::MulAdd(sixth, hn::Sub(s[2], s[1]), hn::Mul(hn::Set(tag, 1.0F / 12), hn::Sub(s[3], s[4])));
  out[2] = hn::MulAdd(sixth, hn::Sub(sum2, sum1), s[5]);
}

// Applies a transform of `from` values to `to` to rows and columns: T x T^T.
template <int from, int to, void (*transform)(const V*, V*)>
HWY_INLINE void transform_both(const V (&x)[from][from], V (&out)[to][to]) {
  V half[from][to];  // transposed
  for (int column = 0; column < from; ++column) {
    V values[from];
    for (int row = 0; row < from; ++row) values[row] = x[row][column];
    transform(values, half[column]);
  }
  for (int row = 0; row < to; ++row) {
    V values[from];
    for (int column = 0; column < from; ++column) values[column] = half[column][row];
    transform(values, out[row]);
  }
}

// Where a tile lies: its image, and its first output.
struct Place {
  int64_t image;
  int64_t y;
  int64_t x;
};

Place place(const WinogradShape& s, int64_t tile) {
  const int64_t across = s.tiles_across();
  const int64_t down = s.tiles_down();
  return {tile / (across * down), tile / across % down * 4, tile % across * 4};
}

template <typename T>
void transform_input_tile(const WinogradShape& s, const T* input, int64_t input_stride,
                          int64_t tile, float* to, int64_t point_stride) {
  const Place p = place(s, tile);
  const T* pixels[6][6];  // null: padding
  for (int64_t i = 0; i < 6; ++i) {
    for (int64_t j = 0; j < 6; ++j) {
      const int64_t y = p.y + i - s.pad_height;
      const int64_t x = p.x + j - s.pad_width;
      const bool inside = y >= 0 && y < s.height && x >= 0 && x < s.width;
      pixels[i][j] =
          inside ? input + ((p.image * s.height + y) * s.width + x) * input_stride : nullptr;
    }
  }
  const D d;
  const int64_t end = padded(s.in_channels);
  for (int64_t c = 0; c < end; c += kLanes) {
    V x[6][6];
    for (int i = 0; i < 6; ++i) {
      for (int j = 0; j < 6; ++j) {
        x[i][j] = pixels[i][j] == nullptr ? hn::Zero(d) : load(pixels[i][j], c, s.in_channels);
      }
    }
    V out[6][6];
    transform_both<6, 6, input_transform>(x, out);
    for (int i = 0; i < 6; ++i) {
      for (int j = 0; j < 6; ++j) hn::StoreU(out[i][j], d, to + (6 * i + j) * point_stride + c);
    }
  }
}

template <typename T>
void transform_gradient_tile(const WinogradShape& s, const T* gradient, int64_t tile, float* to,
                             int64_t point_stride) {
  const Place p = place(s, tile);
  const int64_t rows = std::min<int64_t>(4, s.out_height() - p.y);
  const int64_t columns = std::min<int64_t>(4, s.out_width() - p.x);
  const T* first =
      gradient + ((p.image * s.out_height() + p.y) * s.out_width() + p.x) * s.out_channels;
  const D d;
  const int64_t end = padded(s.out_channels);
  for (int64_t c = 0; c < end; c += kLanes) {
    V y[4][4];
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) {
        y[i][j] = i < rows && j < columns
                      ? load(first + (i * s.out_width() + j) * s.out_channels, c, s.out_channels)
                      : hn::Zero(d);
      }
    }
    V out[6][6];
    transform_both<4, 6, gradient_transform>(y, out);
    for (int i = 0; i < 6; ++i) {
      for (int j = 0; j < 6; ++j) hn::StoreU(out[i][j], d, to + (6 * i + j) * point_stride + c);
    }
  }
}

template <typename T>
void transform_output_tile(const WinogradShape& s, const WinogradConvolution<T>& convolution,
                           const float* from, int64_t point_stride, int64_t tile,
                           int64_t channel_begin, int64_t channel_end) {
  const Place p = place(s, tile);
  const int64_t rows = std::min<int64_t>(4, s.out_height() - p.y);
  const int64_t columns = std::min<int64_t>(4, s.out_width() - p.x);
  const int64_t first = (p.image * s.out_height() + p.y) * s.out_width() + p.x;
  const Epilogue<T>& epilogue = convolution.epilogue;
  const D d;
  for (int64_t c = channel_begin; c < channel_end; c += kLanes) {
    V m[6][6];
    for (int i = 0; i < 6; ++i) {
      for (int j = 0; j < 6; ++j) m[i][j] = hn::LoadU(d, from + (6 * i + j) * point_stride + c);
    }
    V out[4][4];
    transform_both<6, 4, output_transform>(m, out);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        const int64_t pixel = first + i * s.out_width() + j;
        const EpilogueRow<T> row(epilogue, pixel);
        store(finish(out[i][j], epilogue, row, c, s.out_channels),
              convolution.output + pixel * convolution.output_stride, c, s.out_channels);
      }
    }
  }
}

int64_t Panel() {
  return kPanel;
}

// Rows of kernels whose taps are turned so that the channels of a panel lie beside each other.
constexpr int64_t kPackRows = 16;
using Taps = float[kPackRows][9][kPanel];

// The kernels as a matrix for each tap: what is summed over in rows, what comes out in columns.
struct KernelMatrix {
  ConvolutionKernels kernels;
  int64_t in_channels;
  int64_t out_channels;

  bool turned() const { return kernels.use == KernelUse::kInputGradient; }
  int64_t rows() const { return turned() ? out_channels : in_channels; }
  int64_t columns() const { return turned() ? in_channels : out_channels; }

  // Without the scale.
  void gather(int64_t row, int64_t rows, int64_t column, Taps& taps) const {
    const int64_t count = std::min(kPanel, columns() - column);
    std::memset(taps, 0, sizeof(taps));
    for (int64_t tap = 0; tap < 9; ++tap) {
      for (int64_t i = 0; turned() && i < rows; ++i) {
        const float* from = kernels.values + ((row + i) * 9 + 8 - tap) * in_channels + column;
        std::copy_n(from, count, taps[i][tap]);
      }
      if (!turned()) {
        transpose(kernels.values + (column * 9 + tap) * in_channels + row, rows, count, tap, taps);
      }
    }
  }

  // What multiplies a panel's columns in a row.
  V scale(int64_t row, int64_t column) const {
    const D d;
    if (kernels.scale == nullptr) return hn::Set(d, 1.0F);
    if (turned()) return hn::Set(d, kernels.scale[row]);
    return load(kernels.scale, column, columns());
  }

  // A tap of the kernels of `count` output channels: one follows the other in `from`, and lies
  // beside it in the taps.
  void transpose(const float* from, int64_t rows, int64_t count, int64_t tap, Taps& taps) const {
    const int64_t stride = 9 * in_channels;
    for (int64_t k = 0; k < count; k += kBlockSide) {
      for (int64_t i = 0; i < rows; i += kBlockSide) {
        if (k + kBlockSide <= count && i + kBlockSide <= rows) {
          transpose_block(from + k * stride + i, stride, &taps[i][tap][k], 9 * kPanel);
          continue;
        }
        for (int64_t c = k; c < std::min(count, k + kBlockSide); ++c) {
          for (int64_t r = i; r < std::min(rows, i + kBlockSide); ++r) {
            taps[r][tap][c] = from[c * stride + r];
          }
        }
      }
    }
  }
};

// Past the caches, which packed kernels would fill, where memory is aligned for that.
void transform_taps(const float (&taps)[9][kPanel], const V (&scale)[2], float* to,
                    int64_t point_stride) {
  const D d;
  const bool aligned = reinterpret_cast<uintptr_t>(to) % (kLanes * sizeof(float)) == 0;
  for (int64_t half = 0; half < kPanel; half += kLanes) {
    V g[3][3];
    for (int tap = 0; tap < 9; ++tap) {
      g[tap / 3][tap % 3] = hn::Mul(scale[half / kLanes], hn::LoadU(d, taps[tap] + half));
    }
    V out[6][6];
    transform_both<3, 6, kernel_transform>(g, out);
    for (int point = 0; point < 36; ++point) {
      float* at = to + point * point_stride + half;
      const V value = out[point / 6][point % 6];
      aligned ? hn::Stream(value, d, at) : hn::StoreU(value, d, at);
    }
  }
}

void Pack(int64_t in_channels, int64_t out_channels, const ConvolutionKernels& kernels,
          float* packed, int64_t panel_begin, int64_t panel_end) {
  const KernelMatrix matrix{kernels, in_channels, out_channels};
  const int64_t point_stride = matrix.rows() * padded(matrix.columns());
  Taps taps;
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    for (int64_t row = 0; row < matrix.rows(); row += kPackRows) {
      const int64_t rows = std::min(kPackRows, matrix.rows() - row);
      matrix.gather(row, rows, panel * kPanel, taps);
      for (int64_t i = 0; i < rows; ++i) {
        const V scale[2] = {matrix.scale(row + i, panel * kPanel),
                            matrix.scale(row + i, panel * kPanel + kLanes)};
        transform_taps(taps[i], scale, packed + (panel * matrix.rows() + row + i) * kPanel,
                       point_stride);
      }
    }
  }
  hwy::FlushStream();
}

template <typename T>
void convolve(const WinogradShape& s, const WinogradConvolution<T>& c, int64_t tile_begin,
              int64_t tile_end, int64_t panel_begin, int64_t panel_end, float* scratch) {
  const int64_t tiles = tile_end - tile_begin;
  const int64_t in = padded(s.in_channels);
  const int64_t out = padded(s.out_channels);
  float* transformed = scratch;                              // (36, tiles, in)
  float* products = scratch + kWinogradPoints * tiles * in;  // (36, tiles, out)
  for (int64_t t = 0; t < tiles; ++t) {
    transform_input_tile(s, c.input, c.input_stride, tile_begin + t, transformed + t * in,
                         tiles * in);
  }
  for (int64_t point = 0; point < kWinogradPoints; ++point) {
    for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
      float* sums = products + point * tiles * out + panel * kPanel;
      multiply(Operands{.a = transformed + point * tiles * in,
                        .a_row = in,
                        .a_sum = 1,
                        .b = c.packed + (point * out + panel * kPanel) * s.in_channels,
                        .b_sum = kPanel,
                        .length = s.in_channels,
                        .next = c.packed + (point * out + (panel + 1) * kPanel) * s.in_channels},
               tiles, [&](int64_t i, V left, V right) {
                 hn::StoreU(left, D(), sums + i * out);
                 hn::StoreU(right, D(), sums + i * out + kLanes);
               });
    }
  }
  const int64_t channel_end = std::min(panel_end * kPanel, s.out_channels);
  for (int64_t t = 0; t < tiles; ++t) {
    transform_output_tile(s, c, products + t * out, tiles * out, tile_begin + t,
                          panel_begin * kPanel, channel_end);
  }
}

template <typename T>
void transform_input(const WinogradShape& s, const T* input, const WinogradTiles& tiles,
                     float* transformed) {
  const int64_t channels = padded(s.in_channels);
  for (int64_t tile = tiles.tile_begin; tile < tiles.tile_end; ++tile) {
    transform_input_tile(s, input, s.in_channels, tile,
                         transformed + (tile - tiles.chunk_begin) * channels,
                         tiles.chunk_tiles * channels);
  }
}

template <typename T>
void transform_gradient(const WinogradShape& s, const T* gradient, const WinogradTiles& tiles,
                        float* transformed) {
  const int64_t channels = padded(s.out_channels);
  for (int64_t tile = tiles.tile_begin; tile < tiles.tile_end; ++tile) {
    transform_gradient_tile(s, gradient, tile, transformed + (tile - tiles.chunk_begin) * channels,
                            tiles.chunk_tiles * channels);
  }
}

void AddProducts(const WinogradShape& s, const float* input, const float* gradient,
                 int64_t chunk_tiles, float* sums, int64_t point_begin, int64_t point_end) {
  const int64_t in = padded(s.in_channels);
  const int64_t out = padded(s.out_channels);
  for (int64_t point = point_begin; point < point_end; ++point) {
    for (int64_t panel = 0; panel * kPanel < in; ++panel) {
      float* to = sums + point * s.out_channels * in + panel * kPanel;
      multiply(Operands{.a = gradient + point * chunk_tiles * out,
                        .a_row = 1,
                        .a_sum = out,
                        .b = input + point * chunk_tiles * in + panel * kPanel,
                        .b_sum = in,
                        .length = chunk_tiles},
               s.out_channels, [&](int64_t i, V left, V right) {
                 float* at = to + i * in;
                 hn::StoreU(hn::Add(left, hn::LoadU(D(), at)), D(), at);
                 hn::StoreU(hn::Add(right, hn::LoadU(D(), at + kLanes)), D(), at + kLanes);
               });
    }
  }
}

void FinishKernels(const WinogradShape& s, const float* sums, float* gradient, int64_t out_begin,
                   int64_t out_end) {
  const D d;
  const int64_t in = padded(s.in_channels);
  const int64_t point_stride = s.out_channels * in;
  for (int64_t k = out_begin; k < out_end; ++k) {
    for (int64_t c = 0; c < s.in_channels; c += kLanes) {
      V sum[6][6];
      for (int point = 0; point < 36; ++point) {
        sum[point / 6][point % 6] = hn::LoadU(d, sums + point * point_stride + k * in + c);
      }
      V g[3][3];
      transform_both<6, 3, kernel_gradient_transform>(sum, g);
      for (int tap = 0; tap < 9; ++tap) {
        store(g[tap / 3][tap % 3], gradient + (k * 9 + tap) * s.in_channels, c, s.in_channels);
      }
    }
  }
}

// One of each type, for the dispatch.
void ConvolveFloat(const WinogradShape& s, const WinogradConvolution<float>& c, int64_t tile_begin,
                   int64_t tile_end, int64_t panel_begin, int64_t panel_end, float* scratch) {
  convolve(s, c, tile_begin, tile_end, panel_begin, panel_end, scratch);
}
void ConvolveBFloat16(const WinogradShape& s, const WinogradConvolution<BFloat16>& c,
                      int64_t tile_begin, int64_t tile_end, int64_t panel_begin, int64_t panel_end,
                      float* scratch) {
  convolve(s, c, tile_begin, tile_end, panel_begin, panel_end, scratch);
}
void TransformInputFloat(const WinogradShape& s, const float* input, const WinogradTiles& tiles,
                         float* transformed) {
  transform_input(s, input, tiles, transformed);
}
void TransformInputBFloat16(const WinogradShape& s, const BFloat16* input,
                            const WinogradTiles& tiles, float* transformed) {
  transform_input(s, input, tiles, transformed);
}
void TransformGradientFloat(const WinogradShape& s, const float* gradient,
                            const WinogradTiles& tiles, float* transformed) {
  transform_gradient(s, gradient, tiles, transformed);
}
void TransformGradientBFloat16(const WinogradShape& s, const BFloat16* gradient,
                               const WinogradTiles& tiles, float* transformed) {
  transform_gradient(s, gradient, tiles, transformed);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(Panel);
HWY_EXPORT(Pack);
HWY_EXPORT(ConvolveFloat);
HWY_EXPORT(ConvolveBFloat16);
HWY_EXPORT(TransformInputFloat);
HWY_EXPORT(TransformInputBFloat16);
HWY_EXPORT(TransformGradientFloat);
HWY_EXPORT(TransformGradientBFloat16);
HWY_EXPORT(AddProducts);
HWY_EXPORT(FinishKernels);

int64_t winograd_panel() {
  return HWY_DYNAMIC_DISPATCH(Panel)();
}

int64_t winograd_padded(int64_t channels) {
  const int64_t panel = winograd_panel();
  return (channels + panel - 1) / panel * panel;
}

int64_t winograd_scratch_size(const WinogradShape& shape, int64_t tiles) {
  return kWinogradPoints * tiles *
         (winograd_padded(shape.in_channels) + winograd_padded(shape.out_channels));
}

void winograd_pack(int64_t in_channels, int64_t out_channels, const ConvolutionKernels& kernels,
                   float* packed, int64_t panel_begin, int64_t panel_end) {
  HWY_DYNAMIC_DISPATCH(Pack)(in_channels, out_channels, kernels, packed, panel_begin, panel_end);
}

template <>
void winograd_convolve(const WinogradShape& s, const WinogradConvolution<float>& c,
                       int64_t tile_begin, int64_t tile_end, int64_t panel_begin, int64_t panel_end,
                       float* scratch) {
  HWY_DYNAMIC_DISPATCH(ConvolveFloat)(s, c, tile_begin, tile_end, panel_begin, panel_end, scratch);
}
template <>
void winograd_convolve(const WinogradShape& s, const WinogradConvolution<BFloat16>& c,
                       int64_t tile_begin, int64_t tile_end, int64_t panel_begin, int64_t panel_end,
                       float* scratch) {
  HWY_DYNAMIC_DISPATCH(ConvolveBFloat16)
  (s, c, tile_begin, tile_end, panel_begin, panel_end, scratch);
}

template <>
void winograd_transform_input(const WinogradShape& s, const float* input,
                              const WinogradTiles& tiles, float* transformed) {
  HWY_DYNAMIC_DISPATCH(TransformInputFloat)(s, input, tiles, transformed);
}
template <>
void winograd_transform_input(const WinogradShape& s, const BFloat16* input,
                              const WinogradTiles& tiles, float* transformed) {
  HWY_DYNAMIC_DISPATCH(TransformInputBFloat16)(s, input, tiles, transformed);
}

template <>
void winograd_transform_gradient(const WinogradShape& s, const float* gradient,
                                 const WinogradTiles& tiles, float* transformed) {
  HWY_DYNAMIC_DISPATCH(TransformGradientFloat)(s, gradient, tiles, transformed);
}
template <>
void winograd_transform_gradient(const WinogradShape& s, const BFloat16* gradient,
                                 const WinogradTiles& tiles, float* transformed) {
  HWY_DYNAMIC_DISPATCH(TransformGradientBFloat16)(s, gradient, tiles, transformed);
}

void winograd_add_products(const WinogradShape& shape, const float* input, const float* gradient,
                           int64_t chunk_tiles, float* sums, int64_t point_begin,
                           int64_t point_end) {
  HWY_DYNAMIC_DISPATCH(AddProducts)
  (shape, input, gradient, chunk_tiles, sums, point_begin, point_end);
}

void winograd_finish_kernels(const WinogradShape& shape, const float* sums, float* gradient,
                             int64_t out_begin, int64_t out_end) {
  HWY_DYNAMIC_DISPATCH(FinishKernels)(shape, sums, gradient, out_begin, out_end);
}

}  // namespace striate::kernels
#endif
