#include "image/resample.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstring>

namespace striate {

namespace {

constexpr int32_t kHalf = 1 << (kWeightBits - 1);

inline uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

// A weighted sum of bytes that are `stride` apart.
struct WeightedBytes {
  const uint8_t* first;
  int64_t stride;
  const int32_t* weights;
  int64_t count;
};

WeightedBytes weighted(const uint8_t* start, int64_t stride, const Taps& taps,
                       const TapSpan& span) {
  return {start + span.first * stride, stride, taps.weights.data() + span.weights_offset,
          span.count};
}

// One row of pixels.
template <int kChannels>
void pixels_any(const uint8_t* source, const Taps& taps, uint8_t* out) {
  for (const TapSpan& span : taps.spans) {
    const WeightedBytes bytes = weighted(source, kChannels, taps, span);
    int32_t sums[kChannels];
    std::fill_n(sums, kChannels, kHalf);
    for (int64_t t = 0; t < bytes.count; ++t) {
      const uint8_t* pixel = bytes.first + t * kChannels;
      for (int c = 0; c < kChannels; ++c) sums[c] += pixel[c] * bytes.weights[t];
    }
    for (const int32_t sum : sums) *out++ = to_byte(sum);
  }
}

// `bytes` says what the first byte is made of, and its stride how many there are.
void row_any(const WeightedBytes& bytes, uint8_t* out) {
  constexpr int64_t kBlock = 64;
  for (int64_t begin = 0; begin < bytes.stride; begin += kBlock) {
    const int64_t size = std::min(kBlock, bytes.stride - begin);
    int32_t sums[kBlock];
    std::fill_n(sums, kBlock, kHalf);
    for (int64_t t = 0; t < bytes.count; ++t) {
      const uint8_t* source = bytes.first + t * bytes.stride + begin;
      for (int64_t i = 0; i < size; ++i) sums[i] += source[i] * bytes.weights[t];
    }
    for (int64_t i = 0; i < size; ++i) out[begin + i] = to_byte(sums[i]);
  }
}

struct Kernels {
  void (*grey)(const uint8_t*, const Taps&, uint8_t*) = pixels_any<1>;
  void (*rgb)(const uint8_t*, const Taps&, uint8_t*) = pixels_any<3>;
  void (*rgba)(const uint8_t*, const Taps&, uint8_t*) = pixels_any<4>;
  void (*row)(const WeightedBytes&, uint8_t*) = row_any;
};

#if defined(__x86_64__)

// AVX2 has the products of 32 bits that these loops need. The sums are those of the plain loops.

// Reads four bytes at each pixel: of RGB, one more than the row has.
template <int kChannels>
[[gnu::target("avx2")]] void pixels_avx2(const uint8_t* source, const Taps& taps, uint8_t* out) {
  for (const TapSpan& span : taps.spans) {
    const WeightedBytes bytes = weighted(source, kChannels, taps, span);
    __m128i sum = _mm_set1_epi32(kHalf);
    for (int64_t t = 0; t < bytes.count; ++t) {
      int32_t pixel = 0;
      std::memcpy(&pixel, bytes.first + t * kChannels, sizeof pixel);
      const __m128i values = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(pixel));
      const __m128i weight = _mm_set1_epi32(bytes.weights[t]);
      sum = _mm_add_epi32(sum, _mm_mullo_epi32(values, weight));
    }
    const __m128i words = _mm_packs_epi32(_mm_srai_epi32(sum, kWeightBits), sum);
    const int32_t pixel = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    std::memcpy(out, &pixel, kChannels);
    out += kChannels;
  }
}

constexpr int64_t kBlock = 32;

[[gnu::target("avx2")]] inline __m256i product_avx2(const uint8_t* source, __m256i weight) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(source));
  return _mm256_mullo_epi32(_mm256_cvtepu8_epi32(bytes), weight);
}

[[gnu::target("avx2")]] void block_avx2(const WeightedBytes& bytes, int64_t begin, uint8_t* out) {
  __m256i a = _mm256_set1_epi32(kHalf);
  __m256i b = a;
  __m256i c = a;
  __m256i d = a;
  const uint8_t* source = bytes.first + begin;
  for (int64_t t = 0; t < bytes.count; ++t, source += bytes.stride) {
    const __m256i weight = _mm256_set1_epi32(bytes.weights[t]);
    a = _mm256_add_epi32(a, product_avx2(source, weight));
    b = _mm256_add_epi32(b, product_avx2(source + 8, weight));
    c = _mm256_add_epi32(c, product_avx2(source + 16, weight));
    d = _mm256_add_epi32(d, product_avx2(source + 24, weight));
  }
  const __m256i first =
      _mm256_packs_epi32(_mm256_srai_epi32(a, kWeightBits), _mm256_srai_epi32(b, kWeightBits));
  const __m256i second =
      _mm256_packs_epi32(_mm256_srai_epi32(c, kWeightBits), _mm256_srai_epi32(d, kWeightBits));
  // Packing works on halves of a register, and leaves its fours of bytes in this order.
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i packed = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(first, second), order);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + begin), packed);
}

void row_avx2(const WeightedBytes& bytes, uint8_t* out) {
  if (bytes.stride < kBlock) return row_any(bytes, out);
  for (int64_t begin = 0; begin + kBlock <= bytes.stride; begin += kBlock) {
    block_avx2(bytes, begin, out);
  }
  // The rest, together with some bytes that are done already.
  block_avx2(bytes, bytes.stride - kBlock, out);
}

#endif

Kernels best_kernels() {
  Kernels kernels;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) {
    kernels.rgb = pixels_avx2<3>;
    kernels.rgba = pixels_avx2<4>;
    kernels.row = row_avx2;
  }
#endif
  return kernels;
}

}  // namespace

Image resample_columns(const Image& image, const Taps& taps, const RowRange& rows) {
  Image result = make_image(static_cast<int64_t>(taps.spans.size()), rows.count, image.channels);
  const Kernels kernels = best_kernels();
  const auto resample_row = image.channels == 1   ? kernels.grey
                            : image.channels == 3 ? kernels.rgb
                                                  : kernels.rgba;
  // The image's last row has no byte behind it.
  const auto row_bytes = static_cast<size_t>(image.width * image.channels);
  std::vector<uint8_t> last_row(row_bytes + 1);
  std::memcpy(last_row.data(), image.row(image.height - 1), row_bytes);
  for (int64_t y = 0; y < rows.count; ++y) {
    const bool is_last = rows.first + y == image.height - 1;
    resample_row(is_last ? last_row.data() : image.row(rows.first + y), taps, result.row(y));
  }
  return result;
}

Image resample_rows(const Image& image, const Taps& taps) {
  Image result = make_image(image.width, static_cast<int64_t>(taps.spans.size()), image.channels);
  const Kernels kernels = best_kernels();
  for (int64_t y = 0; y < result.height; ++y) {
    const TapSpan& span = taps.spans[static_cast<size_t>(y)];
    kernels.row(weighted(image.row(0), image.width * image.channels, taps, span), result.row(y));
  }
  return result;
}

}  // namespace striate
