// Attention against PyTorch's operations written out, and finite differences.
#include "striate/sequence/additive_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "models/generated.h"

namespace striate {
namespace {

constexpr double kRounding = 1e-12;  // float64
// Of a central difference with this step, in float64: its own error is of the order of step².
constexpr double kDifferenceStep = 1e-5;
constexpr double kDifferenceTolerance = 1e-8;

constexpr int64_t kBatch = 3, kLength = 5;
constexpr AdditiveAttentionOptions kSizes = {.query_size = 4, .value_size = 6, .attention_size = 7};

at::Tensor numbers(const std::string& name, at::IntArrayRef shape) {
  return generated("input.attention." + name, shape.vec()).to(at::kDouble);
}

AdditiveAttention generated_attention() {
  AdditiveAttention attention(kSizes, 1);
  attention.to(at::kDouble);
  at::NoGradGuard no_grad;
  for (const auto& item : attention.named_parameters()) {
    item.value().copy_(numbers(item.key(), item.value().sizes()));
  }
  return attention;
}

struct Inputs {
  at::Tensor query = numbers("query", {kBatch, kSizes.query_size}).requires_grad_();
  at::Tensor values = numbers("values", {kBatch, kLength, kSizes.value_size}).requires_grad_();
  at::Tensor mask = at::tensor({5, 1, 3}).unsqueeze(1) > at::arange(kLength);
};

// The weights and the context, as one number.
at::Tensor score(const AdditiveAttention& attention, const Inputs& in) {
  const at::Tensor weights = attention.weights(in.query, attention.keys(in.values), in.mask);
  const at::Tensor context = weighted_sum(weights, in.values);
  return (weights * numbers("dweights", weights.sizes())).sum() +
         (context * numbers("dcontext", context.sizes())).sum();
}

TEST(AdditiveAttention, IsTheEquationValueByValue) {
  const AdditiveAttention attention = generated_attention();
  const Inputs in;
  const auto p = attention.named_parameters();
  const at::Tensor weights = attention.weights(in.query, attention.keys(in.values), in.mask);
  const at::Tensor context = weighted_sum(weights, in.values);
  for (int64_t n = 0; n < kBatch; ++n) {
    at::Tensor e = at::zeros({kLength}, at::kDouble);
    for (int64_t j = 0; j < kLength; ++j) {
      const at::Tensor sum =
          p["query.weight"].mv(in.query[n]) + p["value.weight"].mv(in.values[n][j]);
      e[j] = in.mask[n][j].item<bool>() ? p["score.weight"][0].dot(sum.tanh()).exp()
                                        : at::zeros({}, at::kDouble);
    }
    const at::Tensor wanted = e / e.sum();
    EXPECT_LT((weights[n] - wanted).abs().max().item<double>(), kRounding);
    EXPECT_LT((context[n] - wanted.unsqueeze(0).mm(in.values[n])[0]).abs().max().item<double>(),
              kRounding);
  }
}

TEST(AdditiveAttention, LooksNowhereBehindTheMask) {
  const AdditiveAttention attention = generated_attention();
  const Inputs in;
  const at::Tensor weights = attention.weights(in.query, attention.keys(in.values), in.mask);
  EXPECT_EQ(weights.masked_select(in.mask.logical_not()).abs().sum().item<double>(), 0);
  EXPECT_EQ(weights[1][0].item<double>(), 1);  // the only one
  EXPECT_LT((weights.sum(1) - 1).abs().max().item<double>(), kRounding);
  const at::Tensor all = at::ones_like(in.mask);
  EXPECT_TRUE(attention.weights(in.query, attention.keys(in.values), all)
                  .equal(attention.weights(in.query, attention.keys(in.values))));
}

TEST(AdditiveAttention, HasTheGradientOfFiniteDifferences) {
  const AdditiveAttention attention = generated_attention();
  const Inputs in;
  torch::autograd::backward({score(attention, in)}, {});
  std::map<std::string, at::Tensor> leaves = {{"query", in.query}, {"values", in.values}};
  for (const auto& item : attention.named_parameters()) leaves[item.key()] = item.value();
  ASSERT_EQ(leaves.size(), 5);
  at::NoGradGuard no_grad;
  for (const auto& [name, leaf] : leaves) {
    double* const values = leaf.data_ptr<double>();
    for (int64_t i = 0; i < leaf.numel(); ++i) {
      const double before = values[i];
      values[i] = before + kDifferenceStep;
      const double above = score(attention, in).item<double>();
      values[i] = before - kDifferenceStep;
      const double below = score(attention, in).item<double>();
      values[i] = before;
      EXPECT_NEAR(leaf.grad().view(-1)[i].item<double>(), (above - below) / (2 * kDifferenceStep),
                  kDifferenceTolerance)
          << name << " " << i;
    }
  }
}

TEST(AdditiveAttention, TheSameSeedGivesTheSameWeights) {
  const AdditiveAttention a(kSizes, 1);
  const AdditiveAttention b(kSizes, 1);
  const AdditiveAttention other(kSizes, 2);
  for (const auto& item : a.named_parameters()) {
    EXPECT_TRUE(item.value().equal(b.named_parameters()[item.key()])) << item.key();
    EXPECT_FALSE(item.value().equal(other.named_parameters()[item.key()])) << item.key();
  }
  EXPECT_THROW(AdditiveAttention({.query_size = 3, .value_size = 0, .attention_size = 2}, 1),
               std::invalid_argument);
}

}  // namespace
}  // namespace striate
