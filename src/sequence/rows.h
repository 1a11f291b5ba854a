#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>

namespace striate {

/// Calls `body` with a value of the tensor's type.
template <typename Body>
void with_type(const at::Tensor& x, const Body& body) {
  x.scalar_type() == at::kDouble ? body(double()) : body(float());
}

inline constexpr int64_t kValuesWorthAThread = 4096;

/// Calls `body(begin, end)` for parts of the rows that are worth a thread.
/// @param size  values in a row
template <typename Body>
void for_rows(int64_t rows, int64_t size, const Body& body) {
  at::parallel_for(0, rows, std::max<int64_t>(1, kValuesWorthAThread / size), body);
}

/// Step t of values that lie one after the other.
template <typename T>
T* at_step(const at::Tensor& values, int64_t t) {
  return values.data_ptr<T>() + t * values.stride(0);
}

}  // namespace striate
