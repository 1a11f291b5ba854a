#pragma once

#include <ATen/core/Tensor.h>

#include <type_traits>

#include "kernels/bfloat16.h"

namespace striate {

/// The type of LibTorch for a type of the kernels.
template <typename T>
constexpr at::ScalarType kScalarType =
    std::is_same_v<T, kernels::BFloat16> ? at::kBFloat16 : at::kFloat;

/// A tensor's values as a type of the kernels.
template <typename T>
T* data(const at::Tensor& tensor) {
  return static_cast<T*>(tensor.data_ptr());
}

}  // namespace striate
