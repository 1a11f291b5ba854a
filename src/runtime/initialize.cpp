#include "striate/runtime/initialize.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "striate/base/random.h"

namespace striate {

namespace {

void fill(at::Tensor& tensor, const TensorSpec& spec, uint64_t seed) {
  Random random({seed, hash_name(spec.key.c_str())});
  float* out = tensor.data_ptr<float>();
  const int64_t count = tensor.numel();
  const auto fill_uniform = [&](double bound) {
    for (int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(random.uniform(-bound, bound));
  };
  const auto fill_normal = [&](double deviation) {
    for (int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(deviation * random.normal());
  };
  const Initializer& rule = spec.initializer;
  const auto fan_in = static_cast<double>(spec.fan_in);
  const auto fan_out = static_cast<double>(spec.fan_out);
  using Kind = Initializer::Kind;
  switch (rule.kind) {
    case Kind::kConstant:
      tensor.fill_(rule.value);
      return;
    case Kind::kNormal:
      return fill_normal(rule.value);
    case Kind::kUniform:
      return fill_uniform(rule.value);
    case Kind::kKaimingFanOut:
      return fill_normal(std::sqrt(2.0 / fan_out));
    case Kind::kKaimingFanIn:
      return fill_normal(std::sqrt(2.0 / fan_in));
    case Kind::kFanInUniform:
      return fill_uniform(rule.value / fan_in);
    case Kind::kTorchDefault:
      return fill_uniform(1.0 / std::sqrt(fan_in));
    case Kind::kXavierUniform:
      return fill_uniform(std::sqrt(6.0 / (fan_in + fan_out)));
    case Kind::kTable:
      if (static_cast<int64_t>(rule.table.size()) != count) {
        throw std::logic_error(
            fmt::format("[{}] has {} values, its table {}", spec.key, count, rule.table.size()));
      }
      std::copy(rule.table.begin(), rule.table.end(), out);
      return;
  }
}

}  // namespace

at::Tensor initial_value(const TensorSpec& spec, uint64_t seed) {
  if (spec.kind == TensorSpec::Kind::kCounter) return at::zeros(spec.shape, at::kLong);
  at::Tensor tensor = at::empty(spec.shape, at::kFloat);
  fill(tensor, spec, seed);
  return tensor;
}

at::Tensor uniform_parameter(const std::string& key, const Shape& shape, double range,
                             uint64_t seed) {
  return initial_value({.key = key,
                        .shape = shape,
                        .initializer = {.kind = Initializer::Kind::kUniform, .value = range}},
                       seed);
}

}  // namespace striate
