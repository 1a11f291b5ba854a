// The block of a matrix product that all kernels of convolutions share; compiled once for each
// instruction set (Highway's foreach_target).
#if defined(STRIATE_KERNELS_MULTIPLY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STRIATE_KERNELS_MULTIPLY_INL_H_
#undef STRIATE_KERNELS_MULTIPLY_INL_H_
#else
#define STRIATE_KERNELS_MULTIPLY_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/epilogue.h"
#include "kernels/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {

constexpr int64_t kPanel = 2 * kLanes;
// Sums of a block of a product that fit into the registers beside its operands.
constexpr int kRows = kLanes == 16 ? 14 : 6;

inline int64_t padded(int64_t channels) {
  return (channels + kPanel - 1) / kPanel * kPanel;
}

// An epilogue's values of one pixel, or null.
template <typename T>
struct EpilogueRow {
  EpilogueRow(const Epilogue<T>& epilogue, int64_t pixel)
      : residual(of(epilogue.residual, pixel * epilogue.residual_stride)),
        gate(of(epilogue.gate, pixel * epilogue.gate_stride)) {}

  const T* residual;
  const T* gate;

 private:
  static const T* of(const T* values, int64_t at) {
    return values == nullptr ? nullptr : values + at;
  }
};

// What an epilogue makes of a pixel's channels from `c` on, of `count`.
template <typename T>
HWY_INLINE V finish(V v, const Epilogue<T>& epilogue, const EpilogueRow<T>& row, int64_t c,
                    int64_t count) {
  if (epilogue.bias != nullptr) v = hn::Add(v, load(epilogue.bias, c, count));
  if (row.residual != nullptr) v = hn::Add(v, load(row.residual, c, count));
  if (epilogue.relu) v = relu(v);
  if (row.gate == nullptr) return v;
  return hn::IfThenZeroElse(hn::Le(load(row.gate, c, count), hn::Zero(D())), v);
}

// A block of a matrix product: sum over r of a[i][r] b[r][0 .. kPanel).
struct Operands {
  const float* a;
  int64_t a_row;  // from one i to the next
  int64_t a_sum;  // from one r to the next
  const float* b;
  int64_t b_sum;
  int64_t length;
  const float* next = nullptr;  // the b of the next product, densely packed, or null

  // Of b, for each r.
  static constexpr int64_t kStep = kPanel;
};

// What is brought near for later, a part with each r.
template <typename T>
struct PanelAhead {
  const T* values;
  int64_t step;

  HWY_INLINE void fetch() {
    hwy::Prefetch(values);
    values += step;
  }
};

// Calls `put(i, left, right)` with the sums of row i.
template <int rows, typename Put>
HWY_INLINE void multiply_rows(const Operands& p, int64_t first_row, PanelAhead<float> ahead,
                              const Put& put) {
  const D d;
  V left[rows];
  V right[rows];
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) left[i] = right[i] = hn::Zero(d);
  const float* a = p.a + first_row * p.a_row;
  const float* b = p.b;
  for (int64_t r = 0; r < p.length; ++r, a += p.a_sum, b += p.b_sum) {
    ahead.fetch();
    const V b0 = hn::LoadU(d, b);
    const V b1 = hn::LoadU(d, b + kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
      const V factor = hn::Set(d, a[i * p.a_row]);
      left[i] = hn::MulAdd(factor, b0, left[i]);
      right[i] = hn::MulAdd(factor, b1, right[i]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) put(first_row + i, left[i], right[i]);
}

// The same of bfloat16 with sums in float32: r counts pairs, and b holds the pair of each column
// side by side. `instruction`: the processor has one for it.
template <bool instruction>
struct HalfOperands {
  const BFloat16* a;
  int64_t a_row;
  const BFloat16* b;
  int64_t length;  // in pairs
  const BFloat16* next;

  static constexpr int64_t kStep = 2 * kPanel;
};

// sum += a0 b0 + a1 b1 for each lane's pairs.
template <bool instruction>
HWY_INLINE void add_pairs(hn::Vec<Bits> a, hn::Vec<Bits> b, V& sum) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (instruction) {
    // Compilers know it only for processors that are sure to have it.
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
    return;
  }
#endif
  const D d;
  const auto high = hn::Set(Bits(), 0xFFFF0000U);
  sum = hn::MulAdd(hn::BitCast(d, hn::ShiftLeft<16>(a)), hn::BitCast(d, hn::ShiftLeft<16>(b)), sum);
  sum = hn::MulAdd(hn::BitCast(d, hn::And(a, high)), hn::BitCast(d, hn::And(b, high)), sum);
}

template <int rows, bool instruction, typename Put>
HWY_INLINE void multiply_rows(const HalfOperands<instruction>& p, int64_t first_row,
                              PanelAhead<BFloat16> ahead, const Put& put) {
  const Bits d;
  V left[rows];
  V right[rows];
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) left[i] = right[i] = hn::Zero(D());
  const BFloat16* a = p.a + first_row * p.a_row;
  const auto* b = reinterpret_cast<const uint32_t*>(p.b);
  for (int64_t r = 0; r < p.length; ++r, a += 2, b += kPanel) {
    ahead.fetch();
    const auto b0 = hn::LoadU(d, b);
    const auto b1 = hn::LoadU(d, b + kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
      uint32_t pair;
      std::memcpy(&pair, a + i * p.a_row, sizeof(pair));
      const auto factor = hn::Set(d, pair);
      add_pairs<instruction>(factor, b0, left[i]);
      add_pairs<instruction>(factor, b1, right[i]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) put(first_row + i, left[i], right[i]);
}

template <int rows, typename AnyOperands, typename T, typename Put>
void multiply_some_rows(const AnyOperands& p, int64_t first_row, int64_t count, PanelAhead<T> ahead,
                        const Put& put) {
  if constexpr (rows > 1) {
    if (count < rows) return multiply_some_rows<rows - 1>(p, first_row, count, ahead, put);
  }
  multiply_rows<rows>(p, first_row, ahead, put);
}

// All rows of one panel, in blocks of about one size, each of which brings a part of the next panel
// near. Calls `fetch(i)` for each row of a block before the block is computed.
template <typename AnyOperands, typename Put, typename Fetch>
void multiply(const AnyOperands& p, int64_t rows, const Put& put, const Fetch& fetch) {
  if (rows == 0) return;
  const int64_t blocks = (rows + kRows - 1) / kRows;
  PanelAhead ahead{.values = p.next == nullptr ? p.b : p.next,
                   .step = p.next == nullptr ? 0 : AnyOperands::kStep / blocks};
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = rows * block / blocks;
    const int64_t count = rows * (block + 1) / blocks - first;
    for (int64_t i = 0; i < count; ++i) fetch(first + i);
    multiply_some_rows<kRows>(p, first, count, ahead, put);
    ahead.values += ahead.step * p.length;
  }
}

template <typename AnyOperands, typename Put>
void multiply(const AnyOperands& p, int64_t rows, const Put& put) {
  multiply(p, rows, put, [](int64_t) {});
}

}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#endif
