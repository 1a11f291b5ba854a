#include "kernels/matrix_vector.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matrix_vector.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace striate::kernels {
namespace HWY_NAMESPACE {
namespace {

// As many rows at once read memory from as many places.
constexpr int64_t kRowsAtOnce = 4;

template <int64_t rows>
void multiply(const MatrixVector& p, int64_t first) {
  V sums[rows];
  for (V& sum : sums) sum = hn::Zero(D());
  for (int64_t c = 0; c < p.columns; c += kLanes) {
    const V x = load(p.vector, c, p.columns);
    for (int64_t i = 0; i < rows; ++i) {
      sums[i] = hn::MulAdd(load(p.matrix + (first + i) * p.columns, c, p.columns), x, sums[i]);
    }
  }
  for (int64_t i = 0; i < rows; ++i) {
    float sum = hn::GetLane(hn::SumOfLanes(D(), sums[i]));
    if (p.bias != nullptr) sum += p.bias[first + i];
    p.result[first + i] = p.relu && sum < 0 ? 0 : sum;
  }
}

void Multiply(const MatrixVector& p, int64_t row_begin, int64_t row_end) {
  int64_t row = row_begin;
  for (; row + kRowsAtOnce <= row_end; row += kRowsAtOnce) multiply<kRowsAtOnce>(p, row);
  for (; row < row_end; ++row) multiply<1>(p, row);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace striate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace striate::kernels {

HWY_EXPORT(Multiply);

void multiply_vector(const MatrixVector& product, int64_t row_begin, int64_t row_end) {
  HWY_DYNAMIC_DISPATCH(Multiply)(product, row_begin, row_end);
}

}  // namespace striate::kernels
#endif
