#include "striate/training/losses.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "striate/runtime/network.h"

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

// One layer with three classifiers on top.
Graph three_heads() {
  Graph graph("heads", {6});
  Scope s(graph);
  const Value x = s.relu(s.linear("stem", graph.input(), {.out_features = 5}));
  graph.set_output("logits", s.linear("fc", x, {.out_features = 3}));
  graph.set_output("aux1", s.linear("aux1.fc", x, {.out_features = 3}));
  graph.set_output("aux2", s.linear("aux2.fc", x, {.out_features = 3}));
  return graph;
}

class AuxiliaryLoss : public testing::Test {
 protected:
  AuxiliaryLoss() : network_(three_heads(), 1) {
    at::manual_seed(2);
    network_.to(at::kDouble);
    images_ = at::randn({4, 6}, at::kDouble);
  }

  NamedValues outputs() { return network_.forward(images_, ForwardOptions{}); }

  at::Tensor gradient(const std::string& key, const at::Tensor& loss) const {
    return torch::autograd::grad({loss}, {network_.tensor(key)}, {}, std::nullopt, false, true)[0];
  }

  Network network_;
  at::Tensor images_;
  const at::Tensor labels_ = at::tensor({0, 2, 1, 1}, at::kLong);
};

TEST_F(AuxiliaryLoss, IsTheMainOneAndTheOthersTimesTheWeight) {
  const NamedValues out = outputs();
  const double main = losses::cross_entropy(out.at("logits"), labels_).item<double>();
  const double others = losses::cross_entropy(out.at("aux1"), labels_).item<double>() +
                        losses::cross_entropy(out.at("aux2"), labels_).item<double>();
  EXPECT_NEAR(losses::compute({.auxiliary_weight = 0.3}, out, labels_).item<double>(),
              main + 0.3 * others, 1e-12);
  EXPECT_DOUBLE_EQ(losses::compute({}, out, labels_).item<double>(), main);
}

// szegedy2015, 5: what they are for.
TEST_F(AuxiliaryLoss, AddsItsGradientBelowTheHeadsAndNoneBesideThem) {
  const auto main = [&] { return losses::cross_entropy(outputs().at("logits"), labels_); };
  const auto both = [&] { return losses::compute({.auxiliary_weight = 0.3}, outputs(), labels_); };
  const auto head = [&](const char* name) {
    return losses::cross_entropy(outputs().at(name), labels_);
  };
  const at::Tensor expected =
      gradient("stem.weight", main()) +
      0.3 * (gradient("stem.weight", head("aux1")) + gradient("stem.weight", head("aux2")));
  EXPECT_TRUE(gradient("stem.weight", both()).allclose(expected, 1e-10, 1e-12));
  EXPECT_TRUE(gradient("fc.weight", both()).allclose(gradient("fc.weight", main()), 1e-10, 1e-12));
  EXPECT_FALSE(gradient("aux1.fc.weight", main()).defined());
  EXPECT_TRUE(gradient("aux1.fc.weight", both()).defined());
}

}  // namespace
}  // namespace striate
