// Neural Machine Translation by Jointly Learning to Align and Translate. D. Bahdanau, K. Cho,
// Y. Bengio, 2015. https://arxiv.org/abs/1409.0473
#include "striate/sequence/additive_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/tanh.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>

#include "striate/runtime/initialize.h"

namespace striate {

AdditiveAttention::AdditiveAttention(const AdditiveAttentionOptions& o, uint64_t seed) {
  if (o.query_size < 1 || o.value_size < 1 || o.attention_size < 1) {
    throw std::invalid_argument(
        fmt::format("attention needs sizes of at least 1, got query {}, value {}, attention {}",
                    o.query_size, o.value_size, o.attention_size));
  }
  // As torch.nn.Linear starts.
  const auto weight = [&](const std::string& name, int64_t rows, int64_t columns) {
    const auto child = register_module(name, std::make_shared<torch::nn::Module>());
    const double bound = 1 / std::sqrt(static_cast<double>(columns));
    return child->register_parameter(
        "weight", uniform_parameter(name + ".weight", {rows, columns}, bound, seed));
  };
  query_weight_ = weight("query", o.attention_size, o.query_size);
  value_weight_ = weight("value", o.attention_size, o.value_size);
  score_weight_ = weight("score", 1, o.attention_size);
}

at::Tensor AdditiveAttention::keys(const at::Tensor& values) const {
  return at::linear(values, value_weight_);
}

at::Tensor AdditiveAttention::weights(const at::Tensor& query, const at::Tensor& keys,
                                      const at::Tensor& mask) const {
  const at::Tensor sums = at::linear(query, query_weight_).unsqueeze(1) + keys;    // (N, L, A)
  const at::Tensor scores = at::linear(at::tanh(sums), score_weight_).squeeze(2);  // (N, L)
  if (!mask.defined()) return scores.softmax(1);
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  return scores.masked_fill(mask.logical_not(), kNever).softmax(1);
}

at::Tensor weighted_sum(const at::Tensor& weights, const at::Tensor& values) {
  return at::bmm(weights.unsqueeze(1), values).squeeze(1);
}

}  // namespace striate
