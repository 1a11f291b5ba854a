#include "striate/runtime/initialize.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace striate {
namespace {

TensorSpec spec(Initializer initializer) {
  return {.key = "conv.weight",
          .shape = {64, 32, 3, 3},
          .kind = TensorSpec::Kind::kParameter,
          .initializer = std::move(initializer),
          .fan_in = 32 * 9,
          .fan_out = 64 * 9};
}

// 18,432 draws: five standard errors of a standard deviation are 2.6 %.
constexpr double kSpread = 0.026;

TEST(InitialValue, OfKaimingHasHesDeviation) {
  const at::Tensor in = initial_value(spec({.kind = Initializer::Kind::kKaimingFanIn}), 1);
  EXPECT_NEAR(in.std().item<double>() / std::sqrt(2.0 / 288), 1, kSpread);
  const at::Tensor out = initial_value(spec({.kind = Initializer::Kind::kKaimingFanOut}), 1);
  EXPECT_NEAR(out.std().item<double>() / std::sqrt(2.0 / 576), 1, kSpread);
}

TEST(InitialValue, OfUniformRulesStaysInItsBounds) {
  const at::Tensor torch = initial_value(spec({.kind = Initializer::Kind::kTorchDefault}), 1);
  EXPECT_LE(torch.abs().max().item<double>(), 1 / std::sqrt(288.0));
  EXPECT_GT(torch.abs().max().item<double>(), 0.99 / std::sqrt(288.0));
  const at::Tensor lecun =
      initial_value(spec({.kind = Initializer::Kind::kFanInUniform, .value = 2.4}), 1);
  EXPECT_LE(lecun.abs().max().item<double>(), 2.4 / 288);
  EXPECT_GT(lecun.abs().max().item<double>(), 0.99 * 2.4 / 288);
}

TEST(InitialValue, DependsOnSeedAndKeyOnly) {
  const TensorSpec one = spec({.kind = Initializer::Kind::kNormal, .value = 0.01});
  TensorSpec other = one;
  other.key = "conv2.weight";
  EXPECT_TRUE(initial_value(one, 1).equal(initial_value(one, 1)));
  EXPECT_FALSE(initial_value(one, 1).equal(initial_value(one, 2)));
  EXPECT_FALSE(initial_value(one, 1).equal(initial_value(other, 1)));
}

TEST(InitialValue, OfATableMustHaveItsSize) {
  TensorSpec table = spec({.kind = Initializer::Kind::kTable, .table = {1, 2, 3}});
  EXPECT_THROW(initial_value(table, 1), std::logic_error);
  table.shape = {3};
  EXPECT_TRUE(initial_value(table, 1).equal(at::tensor({1.0F, 2.0F, 3.0F})));
}

}  // namespace
}  // namespace striate
