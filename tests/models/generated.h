#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "striate/graph/analysis.h"
#include "striate/runtime/weights.h"

namespace striate {

/// The tensor that stands for a name, by the rule of tests/reference/README.md: float32.
at::Tensor generated(const std::string& name, const Shape& shape);

/// Every weight of a network as the tensor of its name.
Weights generated_weights(const Graph& graph);

}  // namespace striate
