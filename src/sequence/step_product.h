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
    multiply(a, result, {.begin = begin, .end = end});
  }
  // a matrix^T + bias, of all rows. @param bias  (outputs), or undefined
  at::Tensor of_all(const at::Tensor& a, const at::Tensor& bias) const;
  // result += a matrix^T, of rows [begin, end).
  template <typename T>
  void add(const T* a, T* result, int64_t begin, int64_t end) const {
    multiply(a, result, {.begin = begin, .end = end, .add = true});
  }

 private:
  struct Rows {
    int64_t begin;
    int64_t end;
    bool add = false;             // to what the result is
    const float* bias = nullptr;  // for packed ones
  };
  void multiply(const float* a, float* result, const Rows& rows) const;
  void multiply(const double* a, double* result, const Rows& rows) const;
  template <typename T>
  void multiply_by_libtorch(const T* a, T* result, const Rows& rows) const;

  at::Tensor matrix_;
  at::Tensor packed_;  // undefined: LibTorch multiplies
};

}  // namespace striate
