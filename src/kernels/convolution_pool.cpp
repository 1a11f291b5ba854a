#include "kernels/convolution_pool.h"

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/convolution_pool.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

using DI = hn::RebindToSigned<D>;
constexpr int64_t kTile = 14;  // pixels of a row whose sums stay in registers

int64_t whole_vectors(int64_t count) {
  return (count + kLanes - 1) / kLanes * kLanes;
}

// Where things lie. A row of a kernel (its columns and channels) is read as whole vectors, so that
// images have a margin at their end.
struct Places {
  explicit Places(const ConvPoolShape& s)
      : row_taps(s.kernel * s.in_channels),
        padded_taps(whole_vectors(row_taps)),
        padded_out(whole_vectors(s.out_channels)),
        row_step((s.width + 2 * s.padding) * s.in_channels),
        image_size((s.height + 2 * s.padding) * row_step + padded_taps),
        map_size(s.conv_height() * s.conv_width() * padded_out),
        windows(s.out_height() * s.out_width()) {}

  int64_t row_taps;
  int64_t padded_taps;
  int64_t padded_out;
  int64_t row_step;    // from a row of the padded image to the next
  int64_t image_size;  // of the padded image
  int64_t map_size;
  int64_t windows;

  // The packed kernels: taps by outputs, the bias, and outputs by padded rows of taps.
  int64_t bias_at(const ConvPoolShape& s) const { return s.kernel * row_taps * padded_out; }
  int64_t rows_at(const ConvPoolShape& s) const { return bias_at(s) + padded_out; }
};

int64_t PackedSize(const ConvPoolShape& s) {
  const Places at(s);
  return at.rows_at(s) + s.out_channels * s.kernel * at.padded_taps;
}

int64_t ScratchSize(const ConvPoolShape& s) {
  const Places at(s);
  return 2 * at.image_size + std::max(at.map_size, 2 * at.windows);
}

int64_t SumsSize(const ConvPoolShape& s) {
  return s.out_channels * s.kernel * Places(s).padded_taps;
}

void Pack(const ConvPoolShape& s, const float* weight, const float* bias, float* packed) {
  const Places at(s);
  std::fill_n(packed, PackedSize(s), 0.0F);
  for (int64_t k = 0; k < s.out_channels; ++k) {
    for (int64_t y = 0; y < s.kernel; ++y) {
      const float* row = weight + (k * s.kernel + y) * at.row_taps;
      for (int64_t tap = 0; tap < at.row_taps; ++tap) {
        packed[(y * at.row_taps + tap) * at.padded_out + k] = row[tap];
      }
      std::copy_n(row, at.row_taps, packed + at.rows_at(s) + (k * s.kernel + y) * at.padded_taps);
    }
    packed[at.bias_at(s) + k] = bias == nullptr ? 0.0F : bias[k];
  }
}

void pad_image(const ConvPoolShape& s, const Places& at, const float* image, float* padded) {
  if (s.padding > 0) std::fill_n(padded, at.image_size, 0.0F);
  const int64_t row = s.width * s.in_channels;
  for (int64_t y = 0; y < s.height; ++y) {
    std::copy_n(image + y * row, row,
                padded + (y + s.padding) * at.row_step + s.padding * s.in_channels);
  }
  std::fill_n(padded + at.image_size - at.padded_taps, at.padded_taps, 0.0F);
}

// A vector of outputs at `count` pixels of a row.
template <int64_t channels, int64_t count>
void convolve_pixels(const ConvPoolShape& s, const Places& at, const float* HWY_RESTRICT image,
                     const float* HWY_RESTRICT taps, const float* bias, float* HWY_RESTRICT map) {
  V sums[count];
  for (int64_t i = 0; i < count; ++i) sums[i] = hn::LoadU(D(), bias);
  for (int64_t y = 0; y < s.kernel; ++y) {
    const float* from = image + y * at.row_step;
    for (int64_t tap = 0; tap < at.row_taps; ++tap, taps += at.padded_out) {
      const V kernel = hn::LoadU(D(), taps);
      for (int64_t i = 0; i < count; ++i) {
        sums[i] = hn::MulAdd(hn::Set(D(), from[i * channels + tap]), kernel, sums[i]);
      }
    }
  }
  for (int64_t i = 0; i < count; ++i) hn::StoreU(sums[i], D(), map + i * at.padded_out);
}

template <int64_t channels>
using ConvolvePixels = decltype(&convolve_pixels<channels, 1>);

template <int64_t channels, size_t... counts>
constexpr auto convolutions_of(std::index_sequence<counts...>) {
  return std::array<ConvolvePixels<channels>, sizeof...(counts)>{
      &convolve_pixels<channels, static_cast<int64_t>(counts) + 1>...};
}

template <int64_t channels>
void convolve(const ConvPoolShape& s, const Places& at, const float* image, const float* packed,
              float* map) {
  static constexpr auto kBySize =
      convolutions_of<channels>(std::make_index_sequence<static_cast<size_t>(kTile)>());
  const int64_t width = s.conv_width();
  const int64_t tiles = (width + kTile - 1) / kTile;
  for (int64_t k = 0; k < at.padded_out; k += kLanes) {
    for (int64_t y = 0; y < s.conv_height(); ++y) {
      for (int64_t tile = 0; tile < tiles; ++tile) {
        const int64_t first = width * tile / tiles;
        const int64_t count = width * (tile + 1) / tiles - first;
        kBySize[static_cast<size_t>(count - 1)](s, at, image + y * at.row_step + first * channels,
                                                packed + k, packed + at.bias_at(s) + k,
                                                map + (y * width + first) * at.padded_out + k);
      }
    }
  }
}

// The first largest value of a window, then the ReLU; what is not a number passes.
void pool_window(const ConvPoolShape& s, const Places& at, const float* map, int64_t y, int64_t x,
                 float* output, int32_t* winners) {
  for (int64_t k = 0; k < s.out_channels; k += kLanes) {
    V best = hn::Zero(D());
    auto winner = hn::Set(DI(), -1);
    for (int64_t row = y; row < y + s.pool; ++row) {
      for (int64_t column = x; column < x + s.pool; ++column) {
        const V value = hn::LoadU(D(), map + (row * s.conv_width() + column) * at.padded_out + k);
        const auto wins = hn::Or(hn::Gt(value, best), hn::IsNaN(value));
        const auto offset = static_cast<int32_t>(row * at.row_step + column * s.in_channels);
        best = hn::IfThenElse(wins, value, best);
        winner = hn::IfThenElse(hn::RebindMask(DI(), wins), hn::Set(DI(), offset), winner);
      }
    }
    const auto left = static_cast<size_t>(std::min(kLanes, s.out_channels - k));
    hn::BlendedStore(best, hn::FirstN(D(), left), D(), output + k);
    hn::BlendedStore(winner, hn::FirstN(DI(), left), DI(), winners + k);
  }
}

void Forward(const ConvPoolShape& s, const float* image, const float* packed, float* output,
             int32_t* winners, float* scratch) {
  const Places at(s);
  float* map = scratch + at.image_size;
  pad_image(s, at, image, scratch);
  switch (s.in_channels) {
    case 1:
      convolve<1>(s, at, scratch, packed, map);
      break;
    case 3:
      convolve<3>(s, at, scratch, packed, map);
      break;
    default:
      convolve<6>(s, at, scratch, packed, map);
  }
  for (int64_t y = 0; y < s.out_height(); ++y) {
    for (int64_t x = 0; x < s.out_width(); ++x) {
      const int64_t to = (y * s.out_width() + x) * s.out_channels;
      pool_window(s, at, map, y * s.pool_stride, x * s.pool_stride, output + to, winners + to);
    }
  }
}

// One channel's gradients that passed ReLU and pooling, and where they go.
struct Passed {
  int64_t count;
  const int32_t* offsets;
  const float* gradients;
};

Passed gather(const ConvPoolShape& s, const Places& at, const ConvPoolGradients& to, int64_t k,
              float* scratch) {
  auto* offsets = reinterpret_cast<int32_t*>(scratch);
  float* gradients = scratch + at.windows;
  int64_t count = 0;
  for (int64_t i = k; i < at.windows * s.out_channels; i += s.out_channels) {
    offsets[count] = to.winners[i];
    gradients[count] = to.gradient[i];
    count += to.winners[i] >= 0 ? 1 : 0;
  }
  return {count, offsets, gradients};
}

// sums += gradient * the pixels below, for `vectors` of each row of the kernel.
template <int64_t kernel, int64_t vectors>
void add_pixels(const Places& at, const Passed& passed, const float* image, float* sums) {
  V rows[kernel][vectors];
  for (int64_t y = 0; y < kernel; ++y) {
    for (int64_t v = 0; v < vectors; ++v) {
      rows[y][v] = hn::LoadU(D(), sums + y * at.padded_taps + v * kLanes);
    }
  }
  for (int64_t i = 0; i < passed.count; ++i) {
    const V gradient = hn::Set(D(), passed.gradients[i]);
    const float* from = image + passed.offsets[i];
    for (int64_t y = 0; y < kernel; ++y) {
      for (int64_t v = 0; v < vectors; ++v) {
        rows[y][v] =
            hn::MulAdd(gradient, hn::LoadU(D(), from + y * at.row_step + v * kLanes), rows[y][v]);
      }
    }
  }
  for (int64_t y = 0; y < kernel; ++y) {
    for (int64_t v = 0; v < vectors; ++v) {
      hn::StoreU(rows[y][v], D(), sums + y * at.padded_taps + v * kLanes);
    }
  }
}

// The pixels below += gradient * the kernel, likewise.
template <int64_t kernel, int64_t vectors>
void add_kernels(const Places& at, const Passed& passed, const float* packed, float* image) {
  V rows[kernel][vectors];
  for (int64_t y = 0; y < kernel; ++y) {
    for (int64_t v = 0; v < vectors; ++v) {
      rows[y][v] = hn::LoadU(D(), packed + y * at.padded_taps + v * kLanes);
    }
  }
  for (int64_t i = 0; i < passed.count; ++i) {
    const V gradient = hn::Set(D(), passed.gradients[i]);
    float* to = image + passed.offsets[i];
    for (int64_t y = 0; y < kernel; ++y) {
      for (int64_t v = 0; v < vectors; ++v) {
        float* pixels = to + y * at.row_step + v * kLanes;
        hn::StoreU(hn::MulAdd(gradient, rows[y][v], hn::LoadU(D(), pixels)), D(), pixels);
      }
    }
  }
}

// Calls body(first lane, vectors) for pairs of vectors of a row, then for one.
template <typename Body>
void for_pairs(const Places& at, const Body& body) {
  int64_t lane = 0;
  for (; lane + 2 * kLanes <= at.padded_taps; lane += 2 * kLanes) {
    body(lane, std::integral_constant<int64_t, 2>());
  }
  if (lane < at.padded_taps) body(lane, std::integral_constant<int64_t, 1>());
}

template <int64_t kernel>
void add_channel(const ConvPoolShape& s, const Places& at, const ConvPoolGradients& to, int64_t k,
                 float* scratch) {
  const Passed passed = gather(s, at, to, k, scratch + 2 * at.image_size);
  float bias = 0;
  for (int64_t i = 0; i < passed.count; ++i) bias += passed.gradients[i];
  to.bias_sums[k] += bias;
  const int64_t row = k * kernel * at.padded_taps;
  for_pairs(at, [&](int64_t lane, auto vectors) {
    add_pixels<kernel, vectors>(at, passed, scratch + lane, to.weight_sums + row + lane);
    if (to.image_gradient == nullptr) return;
    add_kernels<kernel, vectors>(at, passed, to.packed + at.rows_at(s) + row + lane,
                                 scratch + at.image_size + lane);
  });
}

void Gradients(const ConvPoolShape& s, const ConvPoolGradients& to, float* scratch) {
  const Places at(s);
  float* padded_gradient = scratch + at.image_size;
  pad_image(s, at, to.image, scratch);
  if (to.image_gradient != nullptr) std::fill_n(padded_gradient, at.image_size, 0.0F);
  for (int64_t k = 0; k < s.out_channels; ++k) {
    s.kernel == 3 ? add_channel<3>(s, at, to, k, scratch) : add_channel<5>(s, at, to, k, scratch);
  }
  if (to.image_gradient == nullptr) return;
  const int64_t row = s.width * s.in_channels;
  for (int64_t y = 0; y < s.height; ++y) {
    std::copy_n(padded_gradient + (y + s.padding) * at.row_step + s.padding * s.in_channels, row,
                to.image_gradient + y * row);
  }
}

void Finish(const ConvPoolShape& s, const float* weight_sums, float* weight_gradient) {
  const Places at(s);
  for (int64_t row = 0; row < s.out_channels * s.kernel; ++row) {
    std::copy_n(weight_sums + row * at.padded_taps, at.row_taps,
                weight_gradient + row * at.row_taps);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(PackedSize);
HWY_EXPORT(ScratchSize);
HWY_EXPORT(SumsSize);
HWY_EXPORT(Pack);
HWY_EXPORT(Forward);
HWY_EXPORT(Gradients);
HWY_EXPORT(Finish);

bool conv_pool_fits(const ConvPoolShape& s) {
  constexpr int64_t kMostOutputs = 32;  // more are better served by a product of matrices
  const bool channels = s.in_channels == 1 || s.in_channels == 3 || s.in_channels == 6;
  return channels && s.out_channels <= kMostOutputs && (s.kernel == 3 || s.kernel == 5) &&
         s.padding < s.kernel && s.pool_stride >= 1 && s.conv_height() >= s.pool &&
         s.conv_width() >= s.pool &&
         (s.height + 2 * s.padding) * (s.width + 2 * s.padding) < (int64_t{1} << 16);
}

int64_t conv_pool_packed_size(const ConvPoolShape& shape) {
  return HWY_DYNAMIC_DISPATCH(PackedSize)(shape);
}

int64_t conv_pool_scratch_size(const ConvPoolShape& shape) {
  return HWY_DYNAMIC_DISPATCH(ScratchSize)(shape);
}

int64_t conv_pool_sums_size(const ConvPoolShape& shape) {
  return HWY_DYNAMIC_DISPATCH(SumsSize)(shape);
}

void conv_pool_pack(const ConvPoolShape& shape, const float* weight, const float* bias,
                    float* packed) {
  HWY_DYNAMIC_DISPATCH(Pack)(shape, weight, bias, packed);
}

void conv_pool_forward(const ConvPoolShape& shape, const float* image, const float* packed,
                       float* output, int32_t* winners, float* scratch) {
  HWY_DYNAMIC_DISPATCH(Forward)(shape, image, packed, output, winners, scratch);
}

void conv_pool_gradients(const ConvPoolShape& shape, const ConvPoolGradients& to, float* scratch) {
  HWY_DYNAMIC_DISPATCH(Gradients)(shape, to, scratch);
}

void conv_pool_finish(const ConvPoolShape& shape, const float* weight_sums,
                      float* weight_gradient) {
  HWY_DYNAMIC_DISPATCH(Finish)(shape, weight_sums, weight_gradient);
}

}  // namespace striate::kernels
#endif
