// The block of a matrix product on the processor's matrix tiles (AMX), of bfloat16, or of float32
// as sums of it: 32 rows by a panel of 32 columns. Compiled once for each instruction set
// (Highway's foreach_target).
#if defined(STRIATE_KERNELS_MULTIPLY_TILES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STRIATE_KERNELS_MULTIPLY_TILES_INL_H_
#undef STRIATE_KERNELS_MULTIPLY_TILES_INL_H_
#else
#define STRIATE_KERNELS_MULTIPLY_TILES_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <span>

#include "kernels/multiply-inl.h"

// Whether the instruction set that is compiled for can have tiles.
#undef STRIATE_TILES
#if HWY_TARGET == HWY_AVX3 && defined(__x86_64__)
#define STRIATE_TILES 1
#else
#define STRIATE_TILES 0
#endif

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {

// A tile has 16 rows of 64 bytes: 32 of the values that are summed over, or 16 sums.
constexpr int64_t kTileRows = 16;
constexpr int64_t kTileLength = 32;
constexpr int64_t kTileColumns = 16;
constexpr int64_t kTileBlockRows = 2 * kTileRows;
constexpr int64_t kTileValues = kTileRows * kTileLength;

// A value is the sum of so many bfloat16 numbers, its parts, the larger first. For each of them,
// the tiles of a panel's columns lie side by side.
constexpr int64_t kHalfParts = 1;    // bfloat16
constexpr int64_t kFloatParts = 3;   // all 24 significant bits of float32
constexpr int64_t kCoarseParts = 2;  // 16 to 17 of them
constexpr int64_t kPanelTiles = 2 * kTileValues;

#if STRIATE_TILES

// While it lives, the thread's tiles are all whole ones.
class Tiles {
 public:
  Tiles() {
    struct alignas(64) Configuration {
      uint8_t palette = 1;
      uint8_t start_row = 0;
      uint8_t reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    static constexpr Configuration kWhole;
    asm volatile("ldtilecfg %0" ::"m"(kWhole));
  }
  ~Tiles() { asm volatile("tilerelease"); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

// Rows of values that are brought near while something else is computed.
class RowsAhead {
 public:
  RowsAhead() = default;
  // `times`: how often `fetch` will be called.
  template <typename T>
  RowsAhead(const T* values, int64_t stride, int64_t rows, int64_t row_values, int64_t times)
      : row_(reinterpret_cast<const uint8_t*>(values)),
        stride_(stride * static_cast<int64_t>(sizeof(T))),
        row_size_(row_values * static_cast<int64_t>(sizeof(T))),
        rows_(rows),
        lines_((rows * ((row_size_ + kLine - 1) / kLine) + times - 1) / times) {}

  HWY_INLINE void fetch() {
    for (int64_t i = 0; i < lines_ && rows_ > 0; ++i) {
      hwy::Prefetch(row_ + done_);
      done_ += kLine;
      if (done_ < row_size_) continue;
      done_ = 0;
      row_ += stride_;
      --rows_;
    }
  }

 private:
  static constexpr int64_t kLine = 64;

  const uint8_t* row_ = nullptr;
  int64_t stride_ = 0;
  int64_t row_size_ = 0;
  int64_t rows_ = 0;
  int64_t lines_ = 0;
  int64_t done_ = 0;
};

// What a row is multiplied with lies in pieces: piece t of row i at a + i * a_row + pieces[t].
struct TileOperands {
  const BFloat16* a;
  int64_t a_row;
  int64_t a_part;  // from one part of the values to the next
  std::span<const int64_t> pieces;
  int64_t piece_length;  // a multiple of kTileLength
  const BFloat16* b;     // a packed panel
};

// Sums += products of tiles: rows in tiles 4 and 5, columns in tiles 6 and 7.
template <bool two_rows>
HWY_INLINE void add_tile_products() {
  asm volatile(
      "tdpbf16ps %tmm6, %tmm4, %tmm0\n\t"
      "tdpbf16ps %tmm7, %tmm4, %tmm1");
  if constexpr (two_rows) {
    asm volatile(
        "tdpbf16ps %tmm6, %tmm5, %tmm2\n\t"
        "tdpbf16ps %tmm7, %tmm5, %tmm3");
  }
}

template <bool two_rows>
HWY_INLINE void load_row_tiles(const BFloat16* first, const BFloat16* second, int64_t row_bytes) {
  asm volatile("tileloadd (%0,%1,1), %%tmm4" ::"r"(first), "r"(row_bytes) : "memory");
  if constexpr (two_rows) {
    asm volatile("tileloadd (%0,%1,1), %%tmm5" ::"r"(second), "r"(row_bytes) : "memory");
  }
}

HWY_INLINE void load_column_tiles(const BFloat16* b) {
  constexpr int64_t kRowBytes = 64;
  asm volatile(
      "tileloadd (%0,%1,1), %%tmm6\n\t"
      "tileloadd 1024(%0,%1,1), %%tmm7" ::"r"(b),
      "r"(kRowBytes)
      : "memory");
}

// The sums of 32 or 16 rows and kPanel columns, without products that are smaller than what parts
// leave out. Calls `meanwhile()` for each kTileLength products.
template <int64_t parts, int64_t rows, typename Meanwhile>
void multiply_tiles(const TileOperands& p, float* sums, int64_t sums_row,
                    const Meanwhile& meanwhile) {
  constexpr bool kTwo = rows == kTileBlockRows;
  asm volatile("tilezero %tmm0\n\ttilezero %tmm1\n\ttilezero %tmm2\n\ttilezero %tmm3");
  const int64_t a_row = p.a_row * static_cast<int64_t>(sizeof(BFloat16));
  const BFloat16* b = p.b;
  for (const int64_t piece : p.pieces) {
    const BFloat16* a = p.a + piece;
    for (int64_t r = 0; r < p.piece_length; r += kTileLength, b += parts * kPanelTiles) {
      const auto load_rows = [&](int64_t part) {
        const BFloat16* from = a + part * p.a_part + r;
        load_row_tiles<kTwo>(from, from + kTileRows * p.a_row, a_row);
      };
      const auto load_columns = [&](int64_t part) { load_column_tiles(b + part * kPanelTiles); };
      load_rows(0);
      if constexpr (parts == kFloatParts) {
        load_columns(2);
        add_tile_products<kTwo>();
        load_columns(1);
        add_tile_products<kTwo>();
        load_rows(1);
        add_tile_products<kTwo>();
        load_columns(0);
        add_tile_products<kTwo>();
        load_rows(2);
        add_tile_products<kTwo>();
        load_rows(0);
      } else if constexpr (parts == kCoarseParts) {
        load_columns(1);
        add_tile_products<kTwo>();
        load_columns(0);
        load_rows(1);
        add_tile_products<kTwo>();
        load_rows(0);
      } else {
        load_columns(0);
      }
      add_tile_products<kTwo>();
      meanwhile();
    }
  }
  const int64_t row_bytes = sums_row * static_cast<int64_t>(sizeof(float));
  asm volatile(
      "tilestored %%tmm0, (%[sums],%[row],1)\n\t"
      "tilestored %%tmm1, 64(%[sums],%[row],1)" ::[sums] "r"(sums),
      [row] "r"(row_bytes)
      : "memory");
  if constexpr (kTwo) {
    asm volatile(
        "tilestored %%tmm2, (%[sums],%[row],1)\n\t"
        "tilestored %%tmm3, 64(%[sums],%[row],1)" ::[sums] "r"(sums + kTileRows * sums_row),
        [row] "r"(row_bytes)
        : "memory");
  }
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#endif
