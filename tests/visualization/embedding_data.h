#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "striate/base/json.h"

namespace striate {

/// tests/reference/embedding.json
const Json& embedding_reference();
/// A list of lists as float64.
at::Tensor matrix(const Json& rows);

/// (N, D) float32: ten groups of points, normally distributed.
at::Tensor grouped_features(int64_t points, int64_t features, uint64_t seed = 1);
/// (N, D) float32: normal numbers times `deviation`.
at::Tensor normal_points(int64_t points, int64_t features, double deviation, uint64_t seed = 1);

/// Whether `make` gives the same bytes with one thread and with several.
bool same_for_any_threads(const std::function<at::Tensor()>& make);

/// The length of a - b beside that of b.
double relative_error(const at::Tensor& a, const at::Tensor& b);

}  // namespace striate
