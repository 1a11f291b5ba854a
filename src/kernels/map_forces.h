#pragma once

#include <cstdint>

namespace striate::kernels {

/// Points of a plane that act on others, each with a weight.
struct Bodies {
  const float* x;
  const float* y;
  const float* mass;
  int64_t count;
};

/// Points that are acted on, and the sums that are written for each: with w = 1 / (1 + distance²),
/// sum m w, sum m w² dx and sum m w² dy, where (dx, dy) points away from the body.
struct Repelled {
  const float* x;
  const float* y;
  int64_t count;
  float* weights;
  float* force_x;
  float* force_y;
};
/// Student t kernels with one degree of freedom (vandermaaten2008, eq. 5's second half).
void repel(const Bodies& bodies, const Repelled& points);

/// A sparse matrix: row i has columns and values [begins[i], begins[i + 1]).
struct SparseRows {
  const int64_t* begins;
  const int32_t* columns;
  const float* values;
};

/// The sums sum_j p_ij w_ij (y_i - y_j) of rows [row_begin, row_end), (x, y) side by side.
/// @param points   (rows, 2): the y_i, those of row_begin first
/// @param others   (columns, 2): the y_j
/// @param forces   (rows, 2), those of row_begin first
void attract(const SparseRows& p, int64_t row_begin, int64_t row_end, const float* points,
             const float* others, float* forces);

}  // namespace striate::kernels
