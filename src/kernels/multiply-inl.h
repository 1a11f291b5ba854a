// The block of a matrix product that all kernels of convolutions share; compiled once for each
// instruction set (Highway's foreach_target).
#if defined(STRIATE_KERNELS_MULTIPLY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STRIATE_KERNELS_MULTIPLY_INL_H_
#undef STRIATE_KERNELS_MULTIPLY_INL_H_
#else
#define STRIATE_KERNELS_MULTIPLY_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "kernels/epilogue.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = hn::MaxLanes(D());
constexpr int64_t kPanel = 2 * kLanes;
// Sums of a block of a product that fit into the registers beside its operands.
constexpr int kRows = kLanes == 16 ? 14 : 6;

inline int64_t padded(int64_t channels) {
  return (channels + kPanel - 1) / kPanel * kPanel;
}

// Channels from `c` on, of which `count` exist in all; those past them are 0 and are not read.
inline V load(const float* from, int64_t c, int64_t count) {
  const D d;
  if (c >= count) return hn::Zero(d);
  if (c + kLanes <= count) return hn::LoadU(d, from + c);
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count - c)), d, from + c);
}

inline void store(V v, float* to, int64_t c, int64_t count) {
  const D d;
  if (c + kLanes <= count) {
    hn::StoreU(v, d, to + c);
  } else if (c < count) {
    hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(count - c)), d, to + c);
  }
}

// What is not a number stays so.
HWY_INLINE V relu(V v) {
  return hn::IfThenZeroElse(hn::Lt(v, hn::Zero(D())), v);
}

// What an epilogue makes of channels from `c` on, of `count`. `residual` is the row's, or null.
HWY_INLINE V finish(V v, const Epilogue& epilogue, const float* residual, int64_t c,
                    int64_t count) {
  if (epilogue.bias != nullptr) v = hn::Add(v, load(epilogue.bias, c, count));
  if (residual != nullptr) v = hn::Add(v, load(residual, c, count));
  return epilogue.relu ? relu(v) : v;
}

// A block of a matrix product: sum over r of a[i][r] b[r][0 .. kPanel).
struct Operands {
  const float* a;
  int64_t a_row;  // from one i to the next
  int64_t a_sum;  // from one r to the next
  const float* b;
  int64_t b_sum;
  int64_t length;
};

// Calls `put(i, left, right)` with the sums of row i.
template <int rows, typename Put>
HWY_INLINE void multiply_rows(const Operands& p, int64_t first_row, const Put& put) {
  const D d;
  V left[rows];
  V right[rows];
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) left[i] = right[i] = hn::Zero(d);
  const float* a = p.a + first_row * p.a_row;
  const float* b = p.b;
  for (int64_t r = 0; r < p.length; ++r, a += p.a_sum, b += p.b_sum) {
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

template <int rows, typename Put>
void multiply_some_rows(const Operands& p, int64_t first_row, int64_t count, const Put& put) {
  if constexpr (rows > 1) {
    if (count < rows) return multiply_some_rows<rows - 1>(p, first_row, count, put);
  }
  multiply_rows<rows>(p, first_row, put);
}

// All rows of one panel, in blocks of about one size.
template <typename Put>
void multiply(const Operands& p, int64_t rows, const Put& put) {
  const int64_t blocks = (rows + kRows - 1) / kRows;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = rows * block / blocks;
    multiply_some_rows<kRows>(p, first, rows * (block + 1) / blocks - first, put);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#endif
