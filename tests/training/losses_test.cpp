#include "striate/training/losses.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace striate {
namespace {

TEST(CrossEntropy, IsMinusTheLogOfTheSoftmax) {
  const at::Tensor logits = at::tensor({1.0, 2.0, 0.5, 0.0, 0.0, 3.0}, at::kDouble).view({2, 3});
  const at::Tensor labels = at::tensor({1, 0}, at::kLong);
  const double first = -2 + std::log(std::exp(1) + std::exp(2) + std::exp(0.5));
  const double second = std::log(2 + std::exp(3));
  EXPECT_NEAR(losses::cross_entropy(logits, labels).item<double>(), (first + second) / 2, 1e-12);
}

// Smoothing by s: (1 - s) of the label's loss and s of the mean loss over all classes.
TEST(CrossEntropy, SmoothingSpreadsTheLabelOverAllClasses) {
  const at::Tensor logits = at::tensor({1.0, 2.0, 0.5}, at::kDouble).view({1, 3});
  const double log_sum = std::log(std::exp(1) + std::exp(2) + std::exp(0.5));
  const double label = log_sum - 2;
  const double mean = log_sum - 3.5 / 3;
  EXPECT_NEAR(losses::cross_entropy(logits, at::tensor({1}, at::kLong), 0.3).item<double>(),
              0.7 * label + 0.3 * mean, 1e-12);
}

// Eq. 9 by hand, where every term counts.
TEST(LeNet5Loss, IsThePapersEquation) {
  const at::Tensor logits = at::tensor({-1.0, -0.5, -2.0}, at::kDouble).view({1, 3});
  const double expected =
      0.5 + std::log(std::exp(-0.1) + std::exp(-1) + std::exp(-0.5) + std::exp(-2));
  EXPECT_NEAR(losses::lenet5(logits, at::tensor({1}, at::kLong)).item<double>(), expected, 1e-12);
}

TEST(LeNet5Loss, PushesAWrongClassNoFurtherThanJ) {
  const auto gradient_of_wrong = [](double distance) {
    const at::Tensor logits =
        at::tensor({-1.0, -distance}, at::kDouble).view({1, 2}).requires_grad_();
    losses::lenet5(logits, at::tensor({0}, at::kLong), 1.0).backward();
    return logits.grad()[0][1].item<double>();
  };
  EXPECT_GT(gradient_of_wrong(0.1), 0.3);
  EXPECT_LT(gradient_of_wrong(20), 1e-7);
}

}  // namespace
}  // namespace striate
