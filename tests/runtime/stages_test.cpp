// Parts of a network that are computed again in the backward pass.
#include "runtime/stages.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "striate/base/error.h"
#include "striate/runtime/network.h"

namespace striate {
namespace {

Value conv_bn(Scope s, Value x, int64_t width) {
  x = s.conv2d("conv", x, {.out_channels = width, .kernel_size = 3, .padding = 1, .bias = false});
  return s.relu(s.batch_norm2d("bn", x));
}

// Blocks with shortcuts, as ResNet's, one that concatenates, as DenseNet's, and a head that drops.
Graph small_network() {
  Graph graph("small", {3, 16, 16});
  Scope s(graph);
  Value x = conv_bn(s / "stem", graph.input(), 8);
  for (int64_t i = 0; i < 2; ++i) {
    const Scope block = s / "layer1" / i;
    Value y = conv_bn(block / "a", x, 8);
    y = block.batch_norm2d("bn", y);
    x = block.relu(block.add(y, x));
  }
  const Scope dense = s / "dense";
  for (int64_t i = 0; i < 2; ++i) x = dense.concat({x, conv_bn(dense / i, x, 4)});
  x = s.max_pool2d(x, {.kernel_size = 2});
  const Scope head = s / "head";
  x = head.relu(head.linear("fc1", head.flatten(x), {.out_features = 32}));
  x = head.dropout(x, {.p = 0.5});
  graph.set_output("logits", head.linear("fc2", x, {.out_features = 5}));
  return graph;
}

struct Trace {
  std::vector<std::pair<std::string, at::Tensor>> values;
};

// Two steps: outputs, gradients, buffers, and what is drawn afterwards.
Trace train(const std::vector<std::string>& stages, const Execution& execution = {}) {
  Network network(small_network(), 1);
  network.set_execution(execution);
  network.set_checkpoint_stages(stages);
  at::manual_seed(2);
  Trace trace;
  for (int step = 0; step < 2; ++step) {
    const at::Tensor images = at::randn({4, 3, 16, 16}).requires_grad_();
    const at::Tensor logits = network.forward(images);
    torch::autograd::backward({logits.square().sum()}, {});
    trace.values.emplace_back("logits", logits.detach());
    trace.values.emplace_back("images", images.grad());
  }
  for (const auto& [key, tensor] : network.tensors()) {
    trace.values.emplace_back(key, tensor.requires_grad() ? tensor.grad() : tensor.clone());
  }
  trace.values.emplace_back("drawn", at::rand({4}));
  return trace;
}

void expect_equal(const Trace& a, const Trace& b, const std::string& what) {
  ASSERT_EQ(a.values.size(), b.values.size());
  for (size_t i = 0; i < a.values.size(); ++i) {
    ASSERT_TRUE(a.values[i].second.defined()) << a.values[i].first;
    EXPECT_TRUE(a.values[i].second.equal(b.values[i].second)) << what << ": " << a.values[i].first;
  }
}

TEST(CheckpointStages, ChangeNoBit) {
  const Execution plain{.convolution = ConvolutionAlgorithm::kDirect, .fuse = false};
  for (const Execution& execution : {Execution{}, plain}) {
    const Trace kept = train({}, execution);
    for (const std::vector<std::string>& stages :
         std::vector<std::vector<std::string>>{{"layer1"},
                                               {"layer1.0", "layer1.1"},
                                               {"dense"},
                                               {"head"},
                                               {"stem", "dense", "head"},
                                               {"stem.conv..layer1.1.relu"},
                                               {"all"}}) {
      expect_equal(kept, train(stages, execution), stages.front());
    }
  }
}

// The values of a stage are gone after the forward pass: what it keeps is its input.
TEST(CheckpointStages, RunAgainInTheBackwardPassOnly) {
  Network network(small_network(), 1);
  network.set_checkpoint_stages({"layer1"});
  const at::Tensor logits = network.forward(at::randn({4, 3, 16, 16}));
  const at::Tensor counter = network.tensor("layer1.0.bn.num_batches_tracked");
  EXPECT_EQ(counter.item<int64_t>(), 1);
  const at::Tensor mean = network.tensor("layer1.0.bn.running_mean").clone();
  torch::autograd::backward({logits.sum()}, {});
  EXPECT_EQ(counter.item<int64_t>(), 1);
  EXPECT_TRUE(network.tensor("layer1.0.bn.running_mean").equal(mean));
}

// Only the last part, whose values are needed first, is kept.
TEST(CheckpointStages, AllReachesFromTheFirstNodeToTheLastPart) {
  const Graph graph = small_network();
  const std::vector<Stage> stages = find_stages(graph, plan_steps(graph, /*fuse=*/true), {"all"});
  ASSERT_GT(stages.size(), 1U);
  EXPECT_EQ(stages.front().first, 1);
  for (size_t i = 1; i < stages.size(); ++i) {
    EXPECT_EQ(stages[i].first, stages[i - 1].last + 1);
    EXPECT_EQ(stages[i].input, stages[i - 1].output);
  }
  EXPECT_GE(stages.back().last, graph.find("layer1.1.relu").node);
}

TEST(CheckpointStages, LeaveWhatIsTappedAndEvaluationAlone) {
  Network network(small_network(), 1);
  const at::Tensor images = at::randn({4, 3, 16, 16});
  network.set_checkpoint_stages({"layer1"});
  EXPECT_TRUE(network.forward(images, {.taps = {"layer1.0.relu"}}).at("layer1.0.relu").defined());
  network.eval();
  const at::Tensor staged = network.forward(images);
  network.set_checkpoint_stages({});
  EXPECT_TRUE(network.forward(images).equal(staged));
}

TEST(CheckpointStages, ThatAreNoneAreRefused) {
  Network network(small_network(), 1);
  const auto message = [&](const std::vector<std::string>& names) -> std::string {
    try {
      network.set_checkpoint_stages(names);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message({"layer1.0.a.conv..layer1.0.bn"}).find("is no stage of small"),
            std::string::npos);
  EXPECT_NE(message({"layer1.0.a.conv..layer1.0.bn"}).find("layer1.0"), std::string::npos);
  EXPECT_NE(message({"layer1", "layer1.1"}).find("overlap"), std::string::npos);
  EXPECT_THROW(network.set_checkpoint_stages({"layer7"}), LookupError);
  EXPECT_THROW(network.set_checkpoint_stages({"stem.conv..nowhere"}), LookupError);
}

}  // namespace
}  // namespace striate
