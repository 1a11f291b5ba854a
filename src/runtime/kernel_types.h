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

/// A tensor's values, or null of one that is undefined.
inline const float* data_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

}  // namespace striate
