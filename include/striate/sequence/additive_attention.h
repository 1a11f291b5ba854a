#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>

namespace striate {

struct AdditiveAttentionOptions {
  int64_t query_size = 0;      ///< Q
  int64_t value_size = 0;      ///< D
  int64_t attention_size = 0;  ///< A
};

/// Where to look among L values: e_j = v . tanh(W q + U h_j), and the softmax of e over j. A query
/// q is the state of a decoder; the values h are what an encoder made of each word, or of each
/// region of an image. Parameters: `query.weight` (W), `value.weight` (U), `score.weight` (v).
/// Source: bahdanau2015, 3.1 and A.1.2.
class AdditiveAttention final : public torch::nn::Module {
 public:
  /// @throws std::invalid_argument  a size below 1.
  AdditiveAttention(const AdditiveAttentionOptions& options, uint64_t seed);

  /// U h_j, which is the same for every query.
  /// @param values  (N, L, D)    @return (N, L, A)
  at::Tensor keys(const at::Tensor& values) const;

  /// @param query  (N, Q)
  /// @param keys   (N, L, A), as `keys` gives them
  /// @param mask   (N, L) bool: what may be looked at, at least one value in each row; undefined:
  ///               everything
  /// @return       (N, L): shares, which are 0 where the mask is false and sum to 1 in each row
  at::Tensor weights(const at::Tensor& query, const at::Tensor& keys,
                     const at::Tensor& mask = {}) const;

 private:
  at::Tensor query_weight_;  // (A, Q)
  at::Tensor value_weight_;  // (A, D)
  at::Tensor score_weight_;  // (1, A)
};

/// The context: sum over j of weights_j h_j.
/// @param weights  (N, L)    @param values  (N, L, D)    @return (N, D)
at::Tensor weighted_sum(const at::Tensor& weights, const at::Tensor& values);

}  // namespace striate
