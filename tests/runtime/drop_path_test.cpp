// Stochastic depth, drop-path and frozen parts: what a step of training leaves out.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "striate/runtime/network.h"

namespace striate {
namespace {

constexpr int kSteps = 4000;
// Of a frequency over kSteps: a correct rule fails in one of 16,000 runs, and the seed is fixed.
double tolerance(double p) {
  return 4 * std::sqrt(p * (1 - p) / kSteps);
}

Value conv_bn(Scope s, const std::string& name, Value x) {
  x = s.conv2d(name, x, {.out_channels = 2, .kernel_size = 1, .bias = false});
  return s.batch_norm2d(name + "_bn", x);
}

// x + branch(x), the branch with stochastic depth.
Graph one_block(double survival) {
  Graph graph("block", {2, 2, 2});
  const Scope s(graph);
  const Value branch = conv_bn(s, "conv", graph.input());
  graph.set_output("y", s.add(branch, graph.input()));
  return with_stochastic_depth(graph, survival);
}

TEST(StochasticDepth, ABranchSurvivesAsOftenAsItShould) {
  at::manual_seed(1);
  Network network(one_block(0.7), 1);
  network.train();
  const at::Tensor x = at::randn({3, 2, 2, 2});
  int kept = 0;
  for (int i = 0; i < kSteps; ++i) kept += network.forward(x).equal(x) ? 0 : 1;
  EXPECT_NEAR(static_cast<double>(kept) / kSteps, 0.7, tolerance(0.7));
}

// Unscaled in training, times its survival in evaluation.
TEST(StochasticDepth, ScalesInEvaluationOnly) {
  at::manual_seed(2);
  Network network(one_block(0.25), 1);
  network.to(at::kDouble);
  const at::Tensor x = at::randn({3, 2, 2, 2}, at::kDouble);
  network.eval();
  const NamedValues values = network.forward(x, {.taps = {"conv_bn"}});
  EXPECT_LT((values.at("y") - (x + 0.25 * values.at("conv_bn"))).abs().max().item<double>(), 1e-14);
  network.train();
  at::Tensor y = network.forward(x);
  while (y.equal(x)) y = network.forward(x);
  const at::Tensor branch = y - x;  // normalised: mean 0, variance 1 but for eps
  EXPECT_NEAR(branch.mean().item<double>(), 0, 1e-12);
  EXPECT_NEAR(branch.square().mean().item<double>(), 1, 1e-3);
}

TEST(StochasticDepth, ADroppedBranchIsNotComputedAndHasNoGradient) {
  at::manual_seed(3);
  Network network(one_block(0.5), 1);
  network.train();
  const at::Tensor x = at::randn({3, 2, 2, 2});
  const at::Tensor weight = network.tensor("conv.weight");
  int64_t kept = 0;
  for (int i = 0; i < 40; ++i) {
    const at::Tensor y = network.forward(x);
    const bool dropped = y.equal(x);
    kept += dropped ? 0 : 1;
    // Statistics move with each step that computes the branch, and no other.
    EXPECT_EQ(network.tensor("conv_bn.num_batches_tracked").item<int64_t>(), kept);
    if (dropped) {
      EXPECT_FALSE(y.requires_grad());
      continue;
    }
    y.square().sum().backward();
    EXPECT_TRUE(weight.grad().defined());
    weight.mutable_grad().reset();
  }
  EXPECT_GT(kept, 0);
  EXPECT_LT(kept, 40);
}

// Two joins of two columns: a, b → join1 → c, d → join2.
Graph two_joins(double drop, double global) {
  Graph graph("fractal", {2, 2, 2});
  const Scope s(graph);
  const FractalJoin join{.columns = {0, 1}, .drop = drop, .global = global};
  const Value x = graph.input();
  const Value middle = s.fractal_join({conv_bn(s, "a", x), conv_bn(s, "b", x)}, join);
  graph.set_output("y", s.fractal_join({conv_bn(s, "c", middle), conv_bn(s, "d", middle)}, join));
  return graph;
}

// Which of the four layers the last step computed, by their count of batches.
struct Used {
  bool a, b, c, d;
};

class Counter {
 public:
  explicit Counter(Network& network) : network_(network) {}
  Used step(const at::Tensor& x) {
    const std::vector<int64_t> before = counts();
    network_.forward(x);
    const std::vector<int64_t> after = counts();
    return {after[0] > before[0], after[1] > before[1], after[2] > before[2], after[3] > before[3]};
  }

 private:
  std::vector<int64_t> counts() const {
    std::vector<int64_t> result;
    for (const char* name : {"a", "b", "c", "d"}) {
      result.push_back(
          network_.tensor(std::string(name) + "_bn.num_batches_tracked").item<int64_t>());
    }
    return result;
  }
  Network& network_;
};

// Both dropped (drop²) leaves one of the two: an input is there with 1 - drop + drop² / 2.
TEST(DropPath, LocallyEachInputIsDroppedByItselfButOneStays) {
  at::manual_seed(4);
  constexpr double kDrop = 0.4;
  Network network(two_joins(kDrop, 0), 1);
  network.train();
  Counter counter(network);
  const at::Tensor x = at::randn({3, 2, 2, 2});
  int a = 0;
  int both = 0;
  int a_and_c = 0;
  for (int i = 0; i < kSteps; ++i) {
    const Used used = counter.step(x);
    ASSERT_TRUE(used.a || used.b);
    ASSERT_TRUE(used.c || used.d);
    a += used.a ? 1 : 0;
    both += used.a && used.b ? 1 : 0;
    a_and_c += used.a && used.c ? 1 : 0;
  }
  const double kept = 1 - kDrop + kDrop * kDrop / 2;
  const double pair = (1 - kDrop) * (1 - kDrop);
  EXPECT_NEAR(static_cast<double>(a) / kSteps, kept, tolerance(kept));
  EXPECT_NEAR(static_cast<double>(both) / kSteps, pair, tolerance(pair));
  // The joins draw by themselves.
  EXPECT_NEAR(static_cast<double>(a_and_c) / kSteps, kept * kept, tolerance(kept * kept));
}

TEST(DropPath, GloballyOneColumnIsAllThatIsLeft) {
  at::manual_seed(5);
  Network network(two_joins(0.15, 1), 1);
  network.train();
  Counter counter(network);
  const at::Tensor x = at::randn({3, 2, 2, 2});
  int first = 0;
  for (int i = 0; i < kSteps; ++i) {
    const Used used = counter.step(x);
    ASSERT_NE(used.a, used.b);
    ASSERT_EQ(used.a, used.c);
    ASSERT_EQ(used.b, used.d);
    first += used.a ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(first) / kSteps, 0.5, tolerance(0.5));
}

// Without local drops a step with one column is a global one.
TEST(DropPath, LocalAndGlobalStepsAreMixed) {
  at::manual_seed(6);
  Network network(two_joins(0, 0.3), 1);
  network.train();
  Counter counter(network);
  const at::Tensor x = at::randn({3, 2, 2, 2});
  int global = 0;
  for (int i = 0; i < kSteps; ++i) {
    const Used used = counter.step(x);
    global += used.a && used.b ? 0 : 1;
  }
  EXPECT_NEAR(static_cast<double>(global) / kSteps, 0.3, tolerance(0.3));
}

TEST(DropPath, TheMeanIsOfWhatIsKeptAndDroppedPathsHaveNoGradient) {
  at::manual_seed(7);
  Network network(two_joins(0, 1), 1);
  network.train();
  const at::Tensor x = at::randn({3, 2, 2, 2});
  const at::Tensor y = network.forward(x);
  EXPECT_NEAR(y.square().mean().item<double>(), 1, 1e-2);  // a batch-norm's value, not its half
  y.pow(3).sum().backward();
  const bool first = network.tensor("a.weight").grad().defined();
  EXPECT_NE(first, network.tensor("b.weight").grad().defined());
  EXPECT_EQ(first, network.tensor("c.weight").grad().defined());
  EXPECT_NE(first, network.tensor("d.weight").grad().defined());
}

TEST(DropPath, EvaluationTakesAllColumnsOrTheOneThatIsChosen) {
  at::manual_seed(8);
  Network network(two_joins(0.15, 0.5), 1);
  network.to(at::kDouble);
  network.eval();
  const at::Tensor x = at::randn({3, 2, 2, 2}, at::kDouble);
  const auto layer = [&](const std::string& name, const at::Tensor& input) {
    return at::conv2d(input, network.tensor(name + ".weight")) / std::sqrt(1 + 1e-5);
  };
  const at::Tensor middle = (layer("a", x) + layer("b", x)) / 2;
  const at::Tensor all = (layer("c", middle) + layer("d", middle)) / 2;
  EXPECT_LT((network.forward(x) - all).abs().max().item<double>(), 1e-13);
  network.use_column(1);
  const at::Tensor deepest = layer("d", layer("b", x));
  EXPECT_LT((network.forward(x) - deepest).abs().max().item<double>(), 1e-13);
  // Evaluation draws nothing.
  const at::Tensor state = at::globalContext().defaultGenerator(at::kCPU).get_state();
  EXPECT_TRUE(network.forward(x).equal(network.forward(x)));
  EXPECT_TRUE(at::globalContext().defaultGenerator(at::kCPU).get_state().equal(state));
  // It is for evaluation: training draws as before.
  network.train();
  Counter counter(network);
  bool shallow = false;
  for (int i = 0; i < 50 && !shallow; ++i) shallow = counter.step(x).a;
  EXPECT_TRUE(shallow);
  network.eval();
  network.use_column(std::nullopt);
  EXPECT_THROW(network.use_column(2), std::invalid_argument);
  Network other(one_block(0.5), 1);
  EXPECT_THROW(other.use_column(0), std::invalid_argument);
}

TEST(DropPath, AJoinOffTheColumnIsTheMeanOfItsInputs) {
  Graph graph("fractal", {2, 2, 2});
  const Scope s(graph);
  const Value deep =
      s.fractal_join({conv_bn(s, "b", graph.input()), conv_bn(s, "c", graph.input())},
                     {.columns = {1, 2}}, "inner");
  graph.set_output("y",
                   s.fractal_join({conv_bn(s, "a", graph.input()), deep}, {.columns = {0, 1}}));
  Network network(graph, 1);
  network.eval();
  network.use_column(0);
  const at::Tensor x = at::randn({3, 2, 2, 2});
  const NamedValues values = network.forward(x, {.taps = {"inner", "b_bn", "c_bn", "a_bn"}});
  EXPECT_TRUE(values.at("inner").equal((values.at("b_bn") + values.at("c_bn")) / 2));
  EXPECT_TRUE(values.at("y").equal(values.at("a_bn")));
}

TEST(StochasticDepth, WhereEverythingCanBeDroppedIsNoGraph) {
  Graph graph("two", {2, 2, 2});
  const Value a = graph.append("a", StochasticDepth{.survival = 0.5}, {graph.input()});
  const Value b = graph.append("b", StochasticDepth{.survival = 0.5}, {graph.input()});
  const Value sum = graph.append("sum", Add{}, {a, b});
  graph.set_output("y", sum);
  EXPECT_THROW(verify(graph), std::logic_error);
  Graph used("used", {2, 2, 2});
  used.set_output(
      "y", used.append("relu", ReLU{}, {used.append("a", StochasticDepth{}, {used.input()})}));
  EXPECT_THROW(verify(used), std::logic_error);
}

TEST(Freezing, StopsGradientsAndStatisticsUpToANode) {
  Graph graph("three", {2, 2, 2});
  const Scope s(graph);
  Value x = graph.input();
  for (const char* name : {"a", "b", "c"}) x = s.relu(conv_bn(s, name, x));
  graph.set_output("y", x);
  Network network(graph, 1);
  network.freeze_up_to("b_bn");
  network.train();
  const at::Tensor mean = network.tensor("b_bn.running_mean").clone();
  network.forward(at::randn({4, 2, 2, 2}) + 3).square().sum().backward();
  for (const char* key : {"a.weight", "a_bn.weight", "a_bn.bias", "b.weight", "b_bn.weight"}) {
    EXPECT_FALSE(network.tensor(key).requires_grad()) << key;
    EXPECT_FALSE(network.tensor(key).grad().defined()) << key;
  }
  for (const char* key : {"c.weight", "c_bn.weight", "c_bn.bias"}) {
    EXPECT_TRUE(network.tensor(key).grad().defined()) << key;
  }
  EXPECT_TRUE(network.tensor("b_bn.running_mean").equal(mean));
  EXPECT_EQ(network.tensor("b_bn.num_batches_tracked").item<int64_t>(), 0);
  EXPECT_EQ(network.tensor("c_bn.num_batches_tracked").item<int64_t>(), 1);
}

}  // namespace
}  // namespace striate
