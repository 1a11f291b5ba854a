#pragma once

#include <ATen/core/Tensor.h>

#include "striate/graph/analysis.h"

namespace striate {

/// The tensor that training starts from: float32 (int64 for a counter), drawn from (seed, key)
/// only, so that it does not depend on the other tensors.
at::Tensor initial_value(const TensorSpec& spec, uint64_t seed);
/// Likewise, for what no graph describes: a parameter, uniform in ±range.
at::Tensor uniform_parameter(const std::string& key, const Shape& shape, double range,
                             uint64_t seed);

}  // namespace striate
