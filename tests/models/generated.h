#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "striate/runtime/network.h"

namespace striate {

/// The tensor that stands for a name, by the rule of tests/reference/README.md: float32.
at::Tensor generated(const std::string& name, const Shape& shape);

/// Fills every weight of a network with the tensor of its name.
void fill_generated(Network& network);

}  // namespace striate
