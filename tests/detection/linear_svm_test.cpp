#include "striate/detection/linear_svm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace striate {
namespace {

struct Examples {
  at::Tensor positive;
  at::Tensor negative;
};

// Two clouds around points that lie apart; some of each lie in the other one.
Examples clouds() {
  at::Generator generator = at::detail::createCPUGenerator(1);
  const at::Tensor noise = at::randn({120, 3}, generator);
  return {.positive = noise.slice(0, 0, 40) + at::tensor({1.0, 0.5, 0.0}),
          .negative = noise.slice(0, 40) - at::tensor({1.0, 0.0, 0.5})};
}

// What the machine minimises, in float64. (fan2008, eq. 1 with the loss of 2.1)
double objective(const at::Tensor& weights, const Examples& examples,
                 const LinearSvmOptions& options) {
  const auto hinge = [&](const at::Tensor& x, double label) {
    const at::Tensor ones = at::ones({x.size(0), 1}, at::kDouble);
    const at::Tensor margins = at::cat({x.to(at::kDouble), ones}, 1).mv(weights);
    return (1 - label * margins).clamp_min(0).sum().item<double>();
  };
  return weights.dot(weights).item<double>() / 2 +
         options.cost * (hinge(examples.positive, 1) + hinge(examples.negative, -1));
}

TEST(LinearSvm, IsTheLeastOfItsObjective) {
  const Examples examples = clouds();
  const LinearSvmOptions options{.cost = 0.1, .tolerance = 1e-4};
  const LinearSvm svm = train_linear_svm(examples.positive, examples.negative, options);
  const at::Tensor weights =
      at::cat({svm.weight.to(at::kDouble), at::full({1}, svm.bias, at::kDouble)});
  const double least = objective(weights, examples, options);
  // Convex: it is the least if no small step makes it less.
  for (int64_t i = 0; i < weights.size(0); ++i) {
    for (const double step : {-1e-2, 1e-2}) {
      at::Tensor moved = weights.clone();
      moved[i] += step;
      EXPECT_GT(objective(moved, examples, options), least) << i << " " << step;
    }
  }
}

TEST(LinearSvm, TheSameExamplesGiveTheSameMachine) {
  const Examples examples = clouds();
  const LinearSvm a = train_linear_svm(examples.positive, examples.negative);
  const LinearSvm b = train_linear_svm(examples.positive.to(at::kDouble), examples.negative);
  EXPECT_TRUE(a.weight.equal(b.weight));
  EXPECT_EQ(a.bias, b.bias);
}

TEST(LinearSvm, RefusesWhatCantBeTrained) {
  const at::Tensor one = at::ones({1, 3});
  EXPECT_THROW(train_linear_svm(one, at::empty({0, 3})), std::invalid_argument);
  EXPECT_THROW(train_linear_svm(at::empty({0, 3}), one), std::invalid_argument);
  EXPECT_THROW(train_linear_svm(one, at::ones({1, 2})), std::invalid_argument);
  EXPECT_THROW(train_linear_svm(one, -one, {.cost = 0}), std::invalid_argument);
}

}  // namespace
}  // namespace striate
