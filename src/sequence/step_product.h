#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace striate {

// Rows times one matrix, at each step of a sequence. A small matrix is packed once for all steps;
// its rows are then independent, so that a thread takes some of them through all steps without
// waiting for the others. Large ones are LibTorch's.
class StepProduct {
 public:
  // @param matrix  (outputs, inputs), contiguous, float or double
  // @param rows    of all steps together
  StepProduct(const at::Tensor& matrix, int64_t rows);

  // Calls `body(begin, end)` for parts of the rows that no other part has to wait for.
  template <typename Body>
  void for_independent_rows(int64_t rows, const Body& body) const {
    constexpr int64_t kGrain = 8;
    if (packed_.defined()) {
      at::parallel_for(0, rows, kGrain, body);
    } else {
      body(0, rows);
    }
  }

  // result = a matrix^T, of rows [begin, end).
  template <typename T>
  void put(const T* a, T* result, int64_t begin, int64_t end) const {
    multiply(a, result, begin, end, /*add=*/false);
  }
  // result += a matrix^T, of rows [begin, end).
  template <typename T>
  void add(const T* a, T* result, int64_t begin, int64_t end) const {
    multiply(a, result, begin, end, /*add=*/true);
  }

 private:
  void multiply(const float* a, float* result, int64_t begin, int64_t end, bool add) const;
  void multiply(const double* a, double* result, int64_t begin, int64_t end, bool add) const;
  template <typename T>
  void multiply_by_libtorch(const T* a, T* result, int64_t begin, int64_t end, bool add) const;

  at::Tensor matrix_;
  at::Tensor packed_;  // undefined: LibTorch multiplies
};

}  // namespace striate
