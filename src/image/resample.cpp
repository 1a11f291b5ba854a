#include "image/resample.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstring>

namespace striate {

namespace {

// Bytes that are read at a pixel at most: also those of the next one, and, of RGB, two more.
constexpr int64_t kReadBytes = 8;
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

// Weights as words, of two positions side by side, as a processor multiplies and adds them: a
// weight is high * 2^kLowBits + low.
struct PairedTaps {
  explicit PairedTaps(const Taps& all) : taps(&all) {
    for (const TapSpan& span : all.spans) {
      for (int64_t t = 0; t < span.count; t += 2) {
        const int32_t* weights = all.weights.data() + span.weights_offset + t;
        const int32_t second = t + 1 < span.count ? weights[1] : 0;
        high.push_back(words(weights[0] >> kLowBits, second >> kLowBits));
        low.push_back(words(weights[0] & kLowMask, second & kLowMask));
      }
    }
  }

  static constexpr int kLowBits = 11;
  static constexpr int32_t kLowMask = (1 << kLowBits) - 1;

  const Taps* taps;
  std::vector<int32_t> high;
  std::vector<int32_t> low;

 private:
  static int32_t words(int32_t first, int32_t second) {
    return static_cast<int32_t>((static_cast<uint32_t>(second) << 16) |
                                (static_cast<uint32_t>(first) & 0xFFFFU));
  }
};

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

// Two rows of pixels, of which the second may be the first.
struct RowPair {
  const uint8_t* first;
  const uint8_t* second;
  uint8_t* first_out;
  uint8_t* second_out;
};

template <int kChannels>
void pairs_any(const RowPair& rows, const PairedTaps& taps) {
  pixels_any<kChannels>(rows.first, *taps.taps, rows.first_out);
  if (rows.second != rows.first) pixels_any<kChannels>(rows.second, *taps.taps, rows.second_out);
}

struct Kernels {
  void (*grey)(const RowPair&, const PairedTaps&) = pairs_any<1>;
  void (*rgb)(const RowPair&, const PairedTaps&) = pairs_any<3>;
  void (*rgba)(const RowPair&, const PairedTaps&) = pairs_any<4>;
  void (*row)(const WeightedBytes&, uint8_t*) = row_any;
};

#if defined(__x86_64__)

// AVX2 has the products of 32 bits that these loops need. The sums are those of the plain loops.

// Stores the pixel whose channels are words of 32 bits.
template <int kChannels>
[[gnu::target("avx2")]] inline void store_pixel(__m128i packed, uint8_t* out) {
  const int32_t pixel = _mm_cvtsi128_si32(packed);
  std::memcpy(out, &pixel, kChannels);
}

template <int kChannels>
[[gnu::target("avx2")]] void pixels_avx2(const RowPair& rows, const PairedTaps& taps) {
  constexpr char c = kChannels;
  // Each channel's bytes of two pixels, as words side by side.
  const __m256i order = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, -1, c, -1, 1, -1, c + 1, -1, 2, -1, c + 2, -1, 3, -1, c + 3, -1));
  const int32_t* high_weights = taps.high.data();
  const int32_t* low_weights = taps.low.data();
  RowPair at = rows;
  for (const TapSpan& span : taps.taps->spans) {
    const int64_t first = span.first * kChannels;
    __m256i high = _mm256_setzero_si256();
    __m256i low = _mm256_set1_epi32(kHalf);
    for (int64_t t = 0; t < span.count; t += 2) {
      const int64_t place = first + t * kChannels;
      const auto load = [&](const uint8_t* row) {
        return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + place));
      };
      const __m256i bytes =
          _mm256_inserti128_si256(_mm256_castsi128_si256(load(rows.first)), load(rows.second), 1);
      const __m256i values = _mm256_shuffle_epi8(bytes, order);
      high = _mm256_add_epi32(high, _mm256_madd_epi16(values, _mm256_set1_epi32(*high_weights++)));
      low = _mm256_add_epi32(low, _mm256_madd_epi16(values, _mm256_set1_epi32(*low_weights++)));
    }
    const __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(high, PairedTaps::kLowBits), low);
    const __m256i words = _mm256_packs_epi32(_mm256_srai_epi32(sum, kWeightBits), sum);
    const __m256i packed = _mm256_packus_epi16(words, words);
    store_pixel<kChannels>(_mm256_castsi256_si128(packed), at.first_out);
    store_pixel<kChannels>(_mm256_extracti128_si256(packed, 1), at.second_out);
    at.first_out += kChannels;
    at.second_out += kChannels;
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
  const bool holds_what_is_read = image.width * image.channels >= kReadBytes;
  const Kernels kernels = holds_what_is_read ? best_kernels() : Kernels();
  const auto resample_pair = image.channels == 1   ? kernels.grey
                             : image.channels == 3 ? kernels.rgb
                                                   : kernels.rgba;
  const PairedTaps paired(taps);
  // The image's last row has no bytes behind it, and others have the next row's.
  const auto row_bytes = static_cast<size_t>(image.width * image.channels);
  std::vector<uint8_t> last_row(row_bytes + kReadBytes);
  std::memcpy(last_row.data(), image.row(image.height - 1), row_bytes);
  const auto source = [&](int64_t y) {
    const int64_t row = rows.first + y;
    return row == image.height - 1 ? last_row.data() : image.row(row);
  };
  for (int64_t y = 0; y < rows.count; y += 2) {
    const int64_t second = std::min(y + 1, rows.count - 1);
    resample_pair({source(y), source(second), result.row(y), result.row(second)}, paired);
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
