#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace striate {

/// A part of a network that is computed again in the backward pass instead of being kept.
struct Recomputation {
  /// The part's value for its input. It runs once without gradients and, with `again`, once more
  /// with them: then it must do the same and leave no trace beside its value.
  std::function<at::Tensor(const at::Tensor& input, bool again)> compute;
  /// What it depends on beside its input, and wants gradients for.
  std::vector<at::Tensor> parameters;
  /// Whether it draws random numbers, which must be the same again.
  bool draws = false;
};

/// Keeps the input alone. The gradients are those of `compute` itself, to the bit.
/// Source: chen2016.
at::Tensor recompute_in_backward(const Recomputation& part, const at::Tensor& input);

}  // namespace striate
