#pragma once

#include <cstdint>

namespace striate::kernels {

/// A matrix times a vector, float32: a linear layer of one image, which reads each weight once.
struct MatrixVector {
  const float* matrix;  ///< (rows, columns)
  int64_t columns;
  const float* vector;
  const float* bias;  ///< for each row, or null
  bool relu;          ///< max(…, 0)
  float* result;
};
/// Rows [row_begin, row_end) of the result.
void multiply_vector(const MatrixVector& product, int64_t row_begin, int64_t row_end);

}  // namespace striate::kernels
