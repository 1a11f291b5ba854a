#include "training/average.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/runtime/network.h"

namespace striate {
namespace {

Graph tiny() {
  Graph graph("tiny", {2, 1, 1});
  Scope s(graph);
  Value x = s.batch_norm2d("bn", graph.input());
  graph.set_output("logits", s.linear("fc", s.flatten(x), {.out_features = 3}));
  return graph;
}

void fill(Network& network, double value) {
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : network.tensors()) {
    if (tensor.is_floating_point()) tensor.fill_(value);
  }
}

// The mean value of fc.weight while the average stands in for the weights.
double averaged(const Network& network, WeightAverage& average) {
  const AveragedWeights guard(&average);
  return network.tensor("fc.weight").mean().item<double>();
}

// Steps 1, 2, 3 have (1 + n) / (10 + n) = 2/11, 3/12, 4/13; the decay caps the last.
TEST(WeightAverage, IsThatOfAHandComputation) {
  Network network(tiny(), 1);
  network.to(at::kDouble);
  fill(network, 1);
  WeightAverage average(network.tensors(), 0.3);
  EXPECT_DOUBLE_EQ(averaged(network, average), 1);
  fill(network, 3);
  average.update();
  const double first = 2.0 / 11 * 1 + 9.0 / 11 * 3;
  EXPECT_NEAR(averaged(network, average), first, 1e-12);
  fill(network, 5);
  average.update();
  const double second = 0.25 * first + 0.75 * 5;
  EXPECT_NEAR(averaged(network, average), second, 1e-12);
  fill(network, -2);
  average.update();
  EXPECT_NEAR(averaged(network, average), 0.3 * second + 0.7 * -2, 1e-12);
}

TEST(WeightAverage, GivesTheWeightsBackBitForBit) {
  Network network(tiny(), 1);
  WeightAverage average(network.tensors(), 0.9);
  const at::Tensor before = network.tensor("fc.weight").detach().clone();
  {
    at::NoGradGuard no_grad;
    network.tensor("fc.weight").add_(0.1);
  }
  const at::Tensor trained = network.tensor("fc.weight").detach().clone();
  {
    const AveragedWeights guard(&average);
    EXPECT_TRUE(network.tensor("fc.weight").equal(before));
  }
  EXPECT_TRUE(network.tensor("fc.weight").equal(trained));
  { const AveragedWeights none(nullptr); }
  EXPECT_TRUE(network.tensor("fc.weight").equal(trained));
}

TEST(WeightAverage, TakesStatisticsAndFrozenWeightsAsTheyAre) {
  Network network(tiny(), 1);
  network.tensor("fc.weight").set_requires_grad(false);
  WeightAverage average(network.tensors(), 0.9);
  EXPECT_EQ(average.state().size(), 4U);  // bn.weight, bn.bias, fc.bias, steps
  fill(network, 7);
  const AveragedWeights guard(&average);
  for (const char* key : {"bn.running_mean", "bn.running_var", "fc.weight"}) {
    EXPECT_TRUE((network.tensor(key) == 7).all().item<bool>()) << key;
  }
  EXPECT_FALSE((network.tensor("bn.weight") == 7).any().item<bool>());
}

TEST(WeightAverage, GoesOnFromItsState) {
  Network network(tiny(), 1);
  WeightAverage whole(network.tensors(), 0.9);
  fill(network, 0.1);
  whole.update();
  WeightAverage resumed(network.tensors(), 0.9);
  resumed.load_state(whole.state());
  fill(network, 0.7);
  whole.update();
  resumed.update();
  for (const auto& [key, tensor] : whole.state()) {
    EXPECT_TRUE(resumed.state().at(key).equal(tensor)) << key;
  }
}

TEST(WeightAverage, RefusesAStateThatDoesNotFit) {
  Network network(tiny(), 1);
  WeightAverage average(network.tensors(), 0.9);
  auto state = average.state();
  state.erase("fc.bias");
  EXPECT_THROW(average.load_state(state), FormatError);
  state["fc.bias"] = at::zeros({9});
  EXPECT_THROW(average.load_state(state), FormatError);
}

}  // namespace
}  // namespace striate
