#include "striate/runtime/network.h"

#include <ATen/ATen.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"

namespace striate {
namespace {

// conv-bn-relu, conv-bn, a shortcut, relu, average, linear: every way of reusing memory in place.
Graph small_residual_network() {
  Graph graph("small", {3, 8, 8});
  const Scope s(graph);
  const Value x =
      s.relu(s.batch_norm2d("bn1", s.conv2d("conv1", graph.input(),
                                            {.out_channels = 4, .kernel_size = 3, .padding = 1})));
  const Scope b = s / "block" / 0;
  Value y = b.relu(b.batch_norm2d(
      "bn1", b.conv2d("conv1", x, {.out_channels = 4, .kernel_size = 3, .padding = 1})));
  y = b.batch_norm2d("bn2",
                     b.conv2d("conv2", y, {.out_channels = 4, .kernel_size = 3, .padding = 1}));
  y = b.relu(b.add(y, x));
  y = s.flatten(s.adaptive_avg_pool2d(y, {.output_size = 1}));
  graph.set_output("logits", s.linear("fc", y, {.out_features = 5}));
  return graph;
}

TEST(Network, HasTheGraphsNamesAsAModule) {
  const Network network(small_residual_network(), 1);
  const auto parameters = network.named_parameters();
  EXPECT_TRUE(parameters.contains("block.0.conv2.weight"));
  EXPECT_EQ(parameters.size(), 3U * 4 + 2);
  EXPECT_TRUE(network.named_buffers().contains("block.0.bn2.num_batches_tracked"));
  EXPECT_EQ(network.tensors().size(), parameters.size() + 9);
}

TEST(Network, GivesTheValueOfAnyNode) {
  Network network(small_residual_network(), 1);
  network.eval();
  const at::Tensor x = at::randn({2, 3, 8, 8});
  const NamedValues values = network.forward(
      x, {.taps = {"block.0.bn2", "block.0.add", "block.0.relu_1", "relu", "input"}});
  EXPECT_EQ(values.size(), 6U);
  // A tapped value is not overwritten by the steps that follow it.
  const at::Tensor sum = values.at("block.0.bn2") + values.at("relu");
  EXPECT_TRUE(sum.equal(values.at("block.0.add")));
  EXPECT_TRUE(sum.clamp_min(0).equal(values.at("block.0.relu_1")));
  EXPECT_TRUE(values.at("input").equal(x));
  EXPECT_TRUE(values.at("logits").equal(network.forward(x)));
}

// Counts LibTorch's allocations of one size.
class AllocationCount final : public c10::MemoryReportingInfoBase {
 public:
  explicit AllocationCount(int64_t bytes) : bytes_(bytes) {}
  void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device) override {
    count += size == bytes_ ? 1 : 0;
  }
  bool memoryProfilingEnabled() const override { return true; }

  int64_t count = 0;

 private:
  int64_t bytes_;
};

int64_t allocations_of_outputs(const Graph& graph, const ForwardOptions& options) {
  Network network(graph, 1);
  network.eval();
  at::NoGradGuard no_grad;
  const at::Tensor images = at::randn({2, 3, 32, 32});
  auto counter = std::make_shared<AllocationCount>(2 * 7 * 32 * 32 * 4);
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, counter);
  network.forward(images, options);
  return counter->count;
}

TEST(Network, AReluWritesOverAValueThatNobodyElseNeeds) {
  const auto graph_of = [](bool with_relu) {
    Graph graph("net", {3, 32, 32});
    const Scope s(graph);
    Value x =
        s.batch_norm2d("bn", s.conv2d("c", graph.input(), {.out_channels = 7, .kernel_size = 1}));
    if (with_relu) x = s.relu(x);
    graph.set_output("y", x);
    return graph;
  };
  const int64_t without = allocations_of_outputs(graph_of(false), {});
  EXPECT_GT(without, 0);
  EXPECT_EQ(allocations_of_outputs(graph_of(true), {}), without);
  // A tapped value is the caller's.
  EXPECT_EQ(allocations_of_outputs(graph_of(true), {.taps = {"bn"}}), without + 1);
}

TEST(Network, RefusesATapThatDoesNotExist) {
  Network network(small_residual_network(), 1);
  EXPECT_THROW(network.forward(at::zeros({1, 3, 8, 8}), {.taps = {"relu_9"}}), LookupError);
}

TEST(Network, RefusesImagesOfAnotherShape) {
  Network network(small_residual_network(), 1);
  try {
    network.forward(at::zeros({1, 3, 9, 8}));
    FAIL() << "accepted";
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(), "[input] needs (N, 3, 8, 8), got (1, 3, 9, 8)");
  }
}

TEST(Network, DoesNotChangeItsInput) {
  Network network(small_residual_network(), 1);
  const at::Tensor x = at::randn({2, 3, 8, 8});
  const at::Tensor before = x.clone();
  network.forward(x).sum().backward();
  EXPECT_TRUE(x.equal(before));
}

TEST(Network, CountsBatchesAndMovesStatisticsInTrainingOnly) {
  Network network(small_residual_network(), 1);
  const at::Tensor x = at::randn({4, 3, 8, 8}) + 3;
  network.eval();
  network.forward(x);
  EXPECT_EQ(network.tensor("bn1.num_batches_tracked").item<int64_t>(), 0);
  const at::Tensor mean = network.tensor("bn1.running_mean").clone();
  network.train();
  network.forward(x);
  EXPECT_EQ(network.tensor("bn1.num_batches_tracked").item<int64_t>(), 1);
  EXPECT_FALSE(network.tensor("bn1.running_mean").equal(mean));
}

TEST(Network, ABatchNormOfOneValueIsAnErrorThatNamesIt) {
  Graph graph("net", {2, 1, 1});
  graph.set_output("y", Scope(graph).batch_norm2d("bn", graph.input()));
  Network network(graph, 1);
  network.train();
  EXPECT_THROW(network.forward(at::zeros({1, 2, 1, 1})), ShapeError);
}

TEST(Network, RunsInDouble) {
  Network network(small_residual_network(), 1);
  network.eval();
  const at::Tensor x = at::randn({2, 3, 8, 8});
  const at::Tensor single = network.forward(x);
  network.to(at::kDouble);
  const at::Tensor twice = network.forward(x.to(at::kDouble));
  EXPECT_EQ(twice.scalar_type(), at::kDouble);
  EXPECT_LT((single - twice).abs().max().item<double>(), 1e-5);
}

// The notes, row 6: identity by construction.
TEST(Network, ABlockWhoseLastScaleIsZeroIsTheIdentity) {
  Network network(with_zero_last_scales(small_residual_network()), 1);
  EXPECT_EQ(network.tensor("block.0.bn2.weight").abs().sum().item<double>(), 0);
  for (const bool training : {false, true}) {
    network.train(training);
    const NamedValues values =
        network.forward(at::randn({2, 3, 8, 8}), {.taps = {"relu", "block.0.relu_1"}});
    EXPECT_TRUE(values.at("block.0.relu_1").equal(values.at("relu")));
  }
}

TEST(Network, OfWeightsIsTheNetworkThatTheyCameFrom) {
  Network from(small_residual_network(), 1);
  const Network same(small_residual_network(), weights_of(from));
  for (const auto& [key, tensor] : from.tensors()) {
    EXPECT_TRUE(tensor.equal(same.tensor(key))) << key;
    EXPECT_FALSE(tensor.is_alias_of(same.tensor(key))) << key;
  }
  EXPECT_THROW(Network(small_residual_network(), Weights{}), ShapeError);
}

TEST(Network, CanShareTheWeightsThatItIsMadeOf) {
  Network from(small_residual_network(), 1);
  const Network same(small_residual_network(), weights_of(from), Layout::kChannelsLast,
                     WeightMemory::kShared);
  for (const auto& [key, tensor] : from.tensors()) {
    EXPECT_TRUE(tensor.is_alias_of(same.tensor(key))) << key;
  }
}

TEST(Network, KeepsItsCountersWhole) {
  Network network(small_residual_network(), 1);
  network.to(at::kDouble);
  EXPECT_EQ(network.tensor("bn1.num_batches_tracked").scalar_type(), at::kLong);
  EXPECT_EQ(network.tensor("bn1.weight").scalar_type(), at::kDouble);
}

TEST(LoadWeights, CopiesAndConverts) {
  Network from(small_residual_network(), 1);
  Network to(small_residual_network(), 2);
  Weights weights = weights_of(from);
  for (auto& [key, tensor] : weights.tensors) {
    if (tensor.is_floating_point()) tensor = tensor.to(at::kDouble);
  }
  weights.tensors.erase("bn1.num_batches_tracked");  // early files lack it
  load_weights(to, weights);
  for (const auto& [key, tensor] : from.tensors()) EXPECT_TRUE(tensor.equal(to.tensor(key))) << key;
}

TEST(LoadWeights, NamesWhatDiffersAndChangesNothing) {
  Network network(small_residual_network(), 1);
  Weights weights = weights_of(Network(small_residual_network(), 2));
  weights.tensors.erase("fc.bias");
  weights.tensors["fc.weight"] = at::zeros({7, 4});
  weights.tensors["head.weight"] = at::zeros({1});
  const at::Tensor before = network.tensor("conv1.weight").clone();
  try {
    load_weights(network, weights);
    FAIL() << "accepted";
  } catch (const ShapeError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("fc.bias is missing"), std::string::npos);
    EXPECT_NE(message.find("fc.weight is (7, 4), the network's is (5, 4)"), std::string::npos);
    EXPECT_NE(message.find("head.weight is not in the network"), std::string::npos);
  }
  EXPECT_TRUE(network.tensor("conv1.weight").equal(before));
}

TEST(FirstNonFinite, NamesTheLayerOrTheWeight) {
  Network network(small_residual_network(), 1);
  network.eval();
  const at::Tensor x = at::randn({1, 3, 8, 8});
  EXPECT_EQ(first_non_finite(network, x), "");
  EXPECT_EQ(first_non_finite(network, x / 0.0), "input");
  at::NoGradGuard no_grad;
  network.tensor("block.0.conv2.weight").fill_(3e38);
  EXPECT_EQ(first_non_finite(network, x), "block.0.conv2");
  network.tensor("fc.bias")[2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(first_non_finite(network, x), "fc.bias");
}

// As in evaluation for all but batch-norm: dropout, which would change the mean, is out.
TEST(Network, MeasuresTheStatisticsOfBatchNormWithoutDropout) {
  Graph graph("dropped", {2, 4, 4});
  const Scope s(graph);
  graph.set_output("y", s.batch_norm2d("bn", s.dropout(graph.input(), {.p = 0.9})));
  Network network(std::move(graph), 1);
  network.eval();
  const at::Tensor first = at::randn({3, 2, 4, 4}) + 5;
  const at::Tensor second = at::randn({3, 2, 4, 4}) * 2;
  const ForwardOptions take_first{.statistics_momentum = 1};
  at::NoGradGuard no_grad;
  const at::Tensor y = network.forward(first, take_first).at("y");
  EXPECT_TRUE(at::allclose(y.mean({0, 2, 3}), at::zeros({2}), 0, 1e-5));
  EXPECT_TRUE(at::allclose(network.tensor("bn.running_mean"), first.mean({0, 2, 3})));
  network.forward(second, {.statistics_momentum = 0.5});
  const auto variance = [](const at::Tensor& x) { return x.transpose(0, 1).flatten(1).var(1); };
  EXPECT_TRUE(
      at::allclose(network.tensor("bn.running_var"), (variance(first) + variance(second)) / 2));
  EXPECT_EQ(network.tensor("bn.num_batches_tracked").item<int64_t>(), 0);
  network.freeze_up_to("bn");
  const at::Tensor before = network.tensor("bn.running_var").clone();
  network.forward(first, take_first);
  EXPECT_TRUE(network.tensor("bn.running_var").equal(before));
}

}  // namespace
}  // namespace striate
