#include "models/generated.h"

#include <ATen/ATen.h>

#include <cmath>

#include "striate/base/random.h"

namespace striate {

namespace {

uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

}  // namespace

at::Tensor generated(const std::string& name, const Shape& shape) {
  const uint64_t hash = hash_name(name.c_str());
  const bool is_input = name.starts_with("input");
  const bool is_weight = name.ends_with("weight");
  const bool is_scale = name.ends_with("running_var") || (is_weight && shape.size() == 1);
  const double fan_in = static_cast<double>(volume(shape)) / static_cast<double>(shape[0]);
  at::Tensor tensor = at::empty(shape, at::kFloat);
  auto* out = tensor.data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    const uint64_t z = mix(hash + static_cast<uint64_t>(i + 1) * 0x9E3779B97F4A7C15);
    const double u = static_cast<double>(z >> 40) * 0x1p-24;
    double value = (2 * u - 1) * 0.1;
    if (is_input) {
      value = 4 * u - 2;
    } else if (is_scale) {
      value = 0.5 + u;
    } else if (is_weight) {
      value = (2 * u - 1) * std::sqrt(6 / fan_in);
    }
    out[i] = static_cast<float>(value);
  }
  return tensor;
}

Weights generated_weights(const Graph& graph) {
  Weights weights;
  for (const TensorSpec& spec : tensors(graph)) {
    if (spec.kind == TensorSpec::Kind::kCounter) continue;
    weights.tensors[spec.key] = generated(spec.key, spec.shape);
  }
  return weights;
}

}  // namespace striate
