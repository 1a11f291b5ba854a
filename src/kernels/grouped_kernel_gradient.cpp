#include "kernels/grouped_convolution.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/grouped_kernel_gradient.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/grouped_convolution-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

// Rows of a band of an image whose products with the gradient are added.
struct Band {
  const GroupedShape* shape;
  int64_t begin;  // of the outputs
  int64_t end;
  int64_t first_input;
  float* inputs;  // rows of inputs from `first_input` on
  int64_t input_columns;
  float* gradients;
  int64_t gradient_columns;

  int64_t input_row_size() const { return unit_vectors(*shape) * input_columns * kLanes; }
  int64_t gradient_row_size() const { return unit_vectors(*shape) * gradient_columns * kLanes; }
  // What a row of the kernel takes for a row of outputs; null: padding.
  const float* input_row(int64_t y, int64_t row) const {
    const int64_t at = y * shape->stride + row - shape->pad_height;
    if (at < 0 || at >= shape->height) return nullptr;
    return inputs + (at - first_input) * input_row_size();
  }
};

// Zeros on each side of a row of gradients.
constexpr int64_t kGradientMargin = 2;
// Pixels of a band, which are copied at once, and of those whose products are added in float32.
constexpr int64_t kBandPixels = 256;
constexpr int64_t kFloatPixels = 512;

int64_t rows_of(const GroupedShape& s, int64_t pixels) {
  return std::max<int64_t>(1, pixels / s.out_width());
}

Band make_band(const GroupedShape& s, float* scratch) {
  const int64_t rows = std::min(s.out_height(), rows_of(s, kBandPixels));
  Band band{.shape = &s,
            .begin = 0,
            .end = 0,
            .first_input = 0,
            .inputs = scratch,
            .input_columns = std::max(s.pad_width + s.width, s.stride * (s.out_width() + 1) + 1),
            .gradients = nullptr,
            .gradient_columns = s.out_width() + 2 * kGradientMargin};
  band.gradients = scratch + (s.stride * rows + 2) * band.input_row_size();
  return band;
}

int64_t band_size(const GroupedShape& s) {
  const int64_t rows = std::min(s.out_height(), rows_of(s, kBandPixels));
  const Band band = make_band(s, nullptr);
  return (s.stride * rows + 2) * band.input_row_size() + rows * band.gradient_row_size();
}

// Some channels of a group are added at once, so that their sums stay in registers.
template <bool several_groups>
constexpr int kSums = !several_groups && kLanes == 16 ? 8 : 4;

// The products of a row of gradients with a row of inputs, which start at the margin. Lanes of
// several groups: an input is spread to its lanes once, and multiplied with up to three gradients.
template <int stride>
HWY_INLINE void add_row(const Channel<true> (&channels)[kSums<true>], const float* x,
                        const float* g, int64_t out_width, V (&sums)[kSums<true>][3]) {
  const D d;
  for (int64_t i = 0; i < out_width + 2 / stride; ++i, x += stride * kLanes, g += kLanes) {
    const V last = hn::LoadU(d, g + (stride - 1) * kLanes);
    const V middle = hn::LoadU(d, g + stride * kLanes);
    const V first = hn::LoadU(d, g + 2 * kLanes);
#pragma GCC unroll 8
    for (int c = 0; c < kSums<true>; ++c) {
      const V value = channels[c](x);
      const V next = stride == 1 ? value : channels[c](x + kLanes);
      sums[c][0] = hn::MulAdd(value, first, sums[c][0]);
      sums[c][1] = hn::MulAdd(next, middle, sums[c][1]);
      sums[c][2] = hn::MulAdd(value, last, sums[c][2]);
    }
  }
}

// Lanes of one group: an input is a factor as it lies in memory, from `x`'s channel on.
template <int stride>
HWY_INLINE void add_row(const float* x, int64_t vector_size, const float* g, int64_t out_width,
                        V (&sums)[kSums<false>][3]) {
  const D d;
  const int64_t step = kLanes == 1 ? vector_size : 1;
  g += kGradientMargin * kLanes;
  for (int64_t i = 0; i < out_width; ++i, x += stride * kLanes, g += kLanes) {
    const V gradient = hn::LoadU(d, g);
#pragma GCC unroll 8
    for (int c = 0; c < kSums<false>; ++c) {
#pragma GCC unroll 3
      for (int column = 0; column < 3; ++column) {
        const V value = hn::Set(d, x[c * step + column * kLanes]);
        sums[c][column] = hn::MulAdd(value, gradient, sums[c][column]);
      }
    }
  }
}

// Adds to sums [channel of the group][column][lane], from `first_channel` on.
template <int stride, bool several_groups>
void add_band(const Band& band, int64_t vector, int64_t row, int64_t first_channel, float* to) {
  const D d;
  constexpr int kCount = kSums<several_groups>;
  const int64_t vector_size = band.input_columns * kLanes;
  Channel<several_groups> channels[kCount];
  V sums[kCount][3];
#pragma GCC unroll 8
  for (int c = 0; c < kCount; ++c) {
    channels[c] = Channel<several_groups>(*band.shape, first_channel + c, vector_size);
#pragma GCC unroll 3
    for (int i = 0; i < 3; ++i) sums[c][i] = hn::LoadU(d, to + (3 * c + i) * kLanes);
  }
  const float* g = band.gradients + vector * band.gradient_columns * kLanes;
  for (int64_t y = band.begin; y < band.end; ++y, g += band.gradient_row_size()) {
    const float* x = band.input_row(y, row);
    if (x == nullptr) continue;
    if constexpr (several_groups) {
      add_row<stride>(channels, x, g, band.shape->out_width(), sums);
    } else {
      add_row<stride>(x + channels[0].offset, vector_size, g, band.shape->out_width(), sums);
    }
  }
#pragma GCC unroll 8
  for (int c = 0; c < kCount; ++c) {
#pragma GCC unroll 3
    for (int i = 0; i < 3; ++i) hn::StoreU(sums[c][i], d, to + (3 * c + i) * kLanes);
  }
}

using BandKernel = void (*)(const Band&, int64_t, int64_t, int64_t, float*);

BandKernel band_kernel(const GroupedShape& s) {
  if (s.group_channels < kLanes) return s.stride == 1 ? add_band<1, true> : add_band<2, true>;
  return s.stride == 1 ? add_band<1, false> : add_band<2, false>;
}

void copy_band(Band& band, int64_t unit, const float* input, const float* gradient) {
  const GroupedShape& s = *band.shape;
  const int64_t channel = unit * unit_channels(s);
  band.first_input = std::max<int64_t>(0, band.begin * s.stride - s.pad_height);
  const int64_t inputs_end = std::min(s.height, (band.end - 1) * s.stride + 3 - s.pad_height);
  for (int64_t y = band.first_input; y < inputs_end; ++y) {
    copy_row(input + y * s.width * s.channels, s.channels, s.width, channel, unit_vectors(s),
             band.inputs + (y - band.first_input) * band.input_row_size() + s.pad_width * kLanes,
             band.input_columns * kLanes);
  }
  for (int64_t y = band.begin; y < band.end; ++y) {
    copy_row(
        gradient + y * s.out_width() * s.channels, s.channels, s.out_width(), channel,
        unit_vectors(s),
        band.gradients + (y - band.begin) * band.gradient_row_size() + kGradientMargin * kLanes,
        band.gradient_columns * kLanes);
  }
}

// Adds the products of a unit's rows of an image.
void add_rows(Band& band, int64_t unit, const float* input, const float* gradient, float* sums) {
  const GroupedShape& s = *band.shape;
  const BandKernel kernel = band_kernel(s);
  const int64_t step = s.group_channels < kLanes ? kSums<true> : kSums<false>;
  copy_band(band, unit, input, gradient);
  for (int64_t vector = 0; vector < unit_vectors(s); ++vector) {
    for (int64_t row = 0; row < 3; ++row) {
      for (int64_t c = 0; c < s.group_channels; c += step) {
        const int64_t at = vector * kernel_vectors(s) + (row * s.group_channels + c) * 3;
        kernel(band, vector, row, c, sums + at * kLanes);
      }
    }
  }
}

void AddKernelGradient(const GroupedShape& s, const float* input, const float* gradient,
                       const GroupedPart& part, double* sums, float* scratch) {
  const int64_t size = unit_kernels(s);
  Band band = make_band(s, scratch + size);
  std::fill_n(scratch, size + band_size(s), 0.0F);
  const int64_t step = rows_of(s, kFloatPixels);
  const int64_t band_rows = rows_of(s, kBandPixels);
  for (int64_t first = part.row_begin; first < part.row_end; first += step) {
    const int64_t last = std::min(part.row_end, first + step);
    for (int64_t unit = part.unit_begin; unit < part.unit_end; ++unit) {
      std::fill_n(scratch, size, 0.0F);
      for_images(first, last, s.out_height(), [&](int64_t image, int64_t begin, int64_t end) {
        const float* x = input + image * s.height * s.width * s.channels;
        const float* g = gradient + image * s.out_height() * s.out_width() * s.channels;
        for (band.begin = begin; band.begin < end; band.begin = band.end) {
          band.end = std::min(end, band.begin + band_rows);
          add_rows(band, unit, x, g, scratch);
        }
      });
      double* to = sums + unit * size;
      for (int64_t i = 0; i < size; ++i) to[i] += scratch[i];
    }
  }
}

void FinishKernelGradient(const GroupedShape& s, const double* sums, int64_t count, float* gradient,
                          int64_t unit_begin, int64_t unit_end) {
  const int64_t size = unit_count(s) * unit_kernels(s);
  for_kernels(s, unit_begin, unit_end, [&](int64_t k, int64_t tap, int64_t c, int64_t place) {
    if (k >= s.channels) return;
    double total = 0;
    for (int64_t i = 0; i < count; ++i) total += sums[i * size + place];
    gradient[(k * 9 + tap) * s.group_channels + c] = static_cast<float>(total);
  });
}

int64_t KernelGradientScratchSize(const GroupedShape& s) {
  return unit_kernels(s) + band_size(s);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(KernelGradientScratchSize);
HWY_EXPORT(AddKernelGradient);
HWY_EXPORT(FinishKernelGradient);

int64_t grouped_kernel_gradient_scratch_size(const GroupedShape& shape) {
  return HWY_DYNAMIC_DISPATCH(KernelGradientScratchSize)(shape);
}

void grouped_add_kernel_gradient(const GroupedShape& shape, const float* input,
                                 const float* gradient, const GroupedPart& part, double* sums,
                                 float* scratch) {
  HWY_DYNAMIC_DISPATCH(AddKernelGradient)(shape, input, gradient, part, sums, scratch);
}

void grouped_finish_kernel_gradient(const GroupedShape& shape, const double* sums, int64_t count,
                                    float* gradient, int64_t unit_begin, int64_t unit_end) {
  HWY_DYNAMIC_DISPATCH(FinishKernelGradient)
  (shape, sums, count, gradient, unit_begin, unit_end);
}

}  // namespace striate::kernels
#endif
