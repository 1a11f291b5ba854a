#include "striate/runtime/fused_network.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "kernels/tiles_allowed.h"
#include "runtime/fused_plan.h"
#include "striate/base/error.h"

namespace striate {
namespace {

// Two values of the same size that are concatenated, as in a dense block, and a shortcut.
Graph small_graph() {
  Graph graph("small", {3, 12, 12});
  const Scope s(graph);
  const Value x = s.max_pool2d(
      s.conv2d("stem", graph.input(), {.out_channels = 8, .kernel_size = 3}), {.kernel_size = 2});
  const Value y =
      s.conv2d("grow", s.relu(s.batch_norm2d("norm", x)), {.out_channels = 16, .kernel_size = 1});
  const Value both = s.concat({x, y});
  const Value z = s.relu(
      s.add(s.batch_norm2d(
                "bn", s.conv2d("body", both, {.out_channels = 24, .kernel_size = 3, .padding = 1})),
            both));
  const Value pooled = s.adaptive_avg_pool2d(z, {.output_size = 1});
  graph.set_output("logits", s.conv2d("head", pooled, {.out_channels = 5, .kernel_size = 1}));
  return graph;
}

TEST(FusedPlan, TakesNormsShortcutsAndReLUsIntoConvolutionsAndCopiesNothing) {
  const Graph graph = small_graph();
  const FusedPlan plan = fused_plan(graph);
  const auto step_of = [&](const std::string& name) -> const FusedStep& {
    return *std::ranges::find_if(
        plan.steps, [&](const FusedStep& step) { return graph.node({step.node}).name == name; });
  };
  // stem, pool, grow, concat, body, average, head
  EXPECT_EQ(plan.steps.size(), 7U);
  EXPECT_EQ(step_of("grow").input_norm, graph.find("norm").node);
  EXPECT_EQ(step_of("body").norm, graph.find("bn").node);
  EXPECT_EQ(step_of("body").shortcut, graph.find("concat").node);
  EXPECT_TRUE(step_of("body").relu);
  const auto place = [&](const std::string& name) {
    return plan.places[static_cast<size_t>(graph.find(name).node)];
  };
  EXPECT_EQ(place("maxpool").buffer, place("concat").buffer);
  EXPECT_EQ(place("grow").buffer, place("concat").buffer);
  EXPECT_EQ(place("maxpool").first_channel, 0);
  EXPECT_EQ(place("grow").first_channel, 8);
}

// Large values and few kernels first, then small values and many kernels; two shortcuts.
struct Narrowing {
  Graph graph{"narrowing", {3, 128, 128}};
  Value stem;
  Value body;
  Value wide;
  Value both;

  Narrowing() {
    const Scope s(graph);
    const Conv2d conv = {.out_channels = 16, .kernel_size = 3, .padding = 1};
    const Conv2d pointwise = {.out_channels = 16, .kernel_size = 1};
    stem = s.relu(s.conv2d("stem", graph.input(), conv));
    body = s.relu(s.add(stem, s.conv2d("body2", s.conv2d("body1", stem, conv), conv)));
    wide = s.conv2d("wide", body, pointwise);
    both = s.relu(s.add(wide, s.conv2d("side", body, pointwise)));
    const Value small = s.adaptive_avg_pool2d(both, {.output_size = 4});
    const Value deep = s.conv2d("deep", small, {.out_channels = 64, .kernel_size = 3});
    const Value pooled = s.adaptive_avg_pool2d(deep, {.output_size = 1});
    graph.set_output("logits", s.linear("head", s.flatten(pooled), {.out_features = 5}));
  }
};

TEST(FusedPlan, WritesOverShortcutsThatNothingReadsAfterwards) {
  const Narrowing narrowing;
  const FusedPlan plan = fused_plan(narrowing.graph);
  const auto buffer = [&](Value value) {
    return plan.places[static_cast<size_t>(value.node)].buffer;
  };
  EXPECT_EQ(buffer(narrowing.body), buffer(narrowing.stem));
  EXPECT_EQ(buffer(narrowing.both), buffer(narrowing.wide));
  EXPECT_NE(buffer(narrowing.both), buffer(narrowing.body));
}

TEST(FusedPlan, FindsTheFirstStepsWhoseValuesAreLarge) {
  const Graph graph = Narrowing().graph;
  const FusedPlan plan = fused_plan(graph);
  const FusedPrefix prefix = prefix_of_large_values(graph, plan);
  // stem, body1, body2, wide, side, pooling
  EXPECT_EQ(prefix.steps, 6U);
  EXPECT_EQ(graph.node({plan.steps[prefix.steps].node}).name, "deep");
  EXPECT_EQ(prefix.buffer, plan.places[static_cast<size_t>(plan.steps[5].output)].buffer);
  EXPECT_EQ(prefix.values, 3 * 16 * 128 * 128);
}

// All steps are such ones, but what is passed on is images.
Graph graph_of_large_values(int64_t side = 128) {
  Graph graph("side_" + std::to_string(side), {3, side, side});
  const Scope s(graph);
  const Value x = s.conv2d("conv", graph.input(), {.out_channels = 8, .kernel_size = 3});
  const Value pooled = s.adaptive_avg_pool2d(x, {.output_size = 1});
  graph.set_output("logits", s.linear("head", s.flatten(pooled), {.out_features = 1}));
  return graph;
}

TEST(FusedPlan, FindsNoFirstStepsThatGiveFeatures) {
  const Graph graph = graph_of_large_values();
  const FusedPlan plan = fused_plan(graph);
  EXPECT_EQ(prefix_of_large_values(graph, plan).steps, 2U);
}

class NumberOfThreads {
 public:
  explicit NumberOfThreads(int count) : before_(at::get_num_threads()) {
    at::set_num_threads(count);
  }
  ~NumberOfThreads() { at::set_num_threads(before_); }
  NumberOfThreads(const NumberOfThreads&) = delete;
  NumberOfThreads& operator=(const NumberOfThreads&) = delete;

 private:
  int before_;
};

struct GraphAndBatch {
  Graph graph;
  int64_t batch;
};

// With one thread and with two, each takes some images through the first steps; with 16 all threads
// take all images.
void expect_the_same_image_by_image(const Graph& graph, int64_t batch) {
  at::manual_seed(1);
  Network network(graph, 1);
  network.eval();
  const Shape& shape = graph.input_shape();
  const at::Tensor images = at::randn({batch, shape[0], shape[1], shape[2]});
  for (const auto precision : {Precision::kFloat32, Precision::kBFloat16}) {
    for (const auto algorithm : {ConvolutionAlgorithm::kDirect, ConvolutionAlgorithm::kAuto}) {
      network.set_execution({.convolution = algorithm, .precision = precision});
      const auto forward = [&](int threads) {
        const NumberOfThreads number(threads);
        return FusedNetwork(network).forward(images);
      };
      const at::Tensor one = forward(1);
      EXPECT_TRUE(one.equal(forward(2)));
      EXPECT_TRUE(one.equal(forward(16)));
      const bool half = precision == Precision::kBFloat16;
      const at::Tensor wanted = [&] {
        const at::NoGradGuard no_grad;
        return network.forward(images).to(at::kFloat);
      }();
      EXPECT_TRUE(at::allclose(one, wanted, half ? 0.05 : 1e-4, half ? 0.01 : 1e-5));
    }
  }
}

class FusedNetworkOf : public testing::TestWithParam<GraphAndBatch> {};

TEST_P(FusedNetworkOf, PredictsTheSameImageByImage) {
  for (const bool tiles : ways_to_multiply()) {
    const TilesAllowed allowed(tiles);
    expect_the_same_image_by_image(GetParam().graph, GetParam().batch);
  }
}

// Of the smallest images, several are taken at a time, and fewer at the end.
INSTANTIATE_TEST_SUITE_P(Graphs, FusedNetworkOf,
                         testing::Values(GraphAndBatch{Narrowing().graph, 9},
                                         GraphAndBatch{graph_of_large_values(), 9},
                                         GraphAndBatch{graph_of_large_values(48), 25}),
                         [](const auto& info) { return info.param.graph.name(); });

// What is not a number stays in its image.
TEST(FusedNetwork, KeepsImagesApart) {
  at::manual_seed(1);
  Network network(small_graph(), 1);
  network.eval();
  for (const auto precision : {Precision::kFloat32, Precision::kBFloat16}) {
    network.set_execution({.precision = precision});
    FusedNetwork fused(network);
    at::Tensor images = at::randn({5, 3, 12, 12});
    const at::Tensor wanted = fused.forward(images);
    images[2].fill_(std::nanf(""));
    const at::Tensor seen = fused.forward(images);
    for (int64_t i = 0; i < images.size(0); ++i) {
      EXPECT_TRUE(i == 2 ? seen[i].isnan().all().item<bool>() : seen[i].equal(wanted[i])) << i;
    }
  }
}

// A value that LibTorch computes is added, and one that another may be a view of.
TEST(FusedNetwork, AddsWhatItMustNotWriteOver) {
  Graph graph("adds", {16, 8, 8});
  const Scope s(graph);
  const Conv2d pointwise = {.out_channels = 16, .kernel_size = 1};
  const Value grouped = s.conv2d(
      "grouped", graph.input(), {.out_channels = 16, .kernel_size = 3, .padding = 1, .groups = 16});
  const Value first = s.conv2d("first", graph.input(), pointwise);
  const Value sum = s.add(grouped, s.conv2d("second", first, pointwise));
  const Value small = s.adaptive_avg_pool2d(sum, {.output_size = 1});
  const Value flat = s.flatten(small);
  const Value deep = s.add(small, s.conv2d("third", s.relu(small), pointwise));
  graph.set_output("logits", s.linear("head", flat, {.out_features = 3}));
  graph.set_output("deep", deep);
  at::manual_seed(1);
  Network network(graph, 1);
  network.eval();
  const at::NoGradGuard no_grad;
  const at::Tensor images = at::randn({2, 16, 8, 8});
  const auto seen = FusedNetwork(network, {.every_output = true}).outputs(images);
  const NamedValues wanted = network.forward(images, {.any_size = true});
  for (size_t i = 0; i < seen.size(); ++i) {
    const std::string& name = graph.outputs()[i].first;
    EXPECT_TRUE(at::allclose(seen[i], wanted.at(name), 1e-4, 1e-5)) << name;
  }
}

TEST(FusedNetwork, TakesNoImages) {
  Network network(graph_of_large_values(), 1);
  network.eval();
  for (const auto precision : {Precision::kFloat32, Precision::kBFloat16}) {
    network.set_execution({.precision = precision});
    const at::Tensor none = FusedNetwork(network).forward(at::zeros({0, 3, 128, 128}));
    EXPECT_EQ(none.sizes().vec(), (std::vector<int64_t>{0, 1}));
  }
}

TEST(FusedNetwork, IsTheSameForAnyNumberOfThreads) {
  at::manual_seed(1);
  Network network(small_graph(), 1);
  network.eval();
  const at::Tensor images = at::randn({5, 3, 12, 12});
  const int threads = at::get_num_threads();
  for (const auto precision : {Precision::kFloat32, Precision::kBFloat16}) {
    for (const auto algorithm : {ConvolutionAlgorithm::kDirect, ConvolutionAlgorithm::kWinograd}) {
      network.set_execution({.convolution = algorithm, .precision = precision});
      at::set_num_threads(1);
      const at::Tensor one = FusedNetwork(network).forward(images);
      at::set_num_threads(3);
      EXPECT_TRUE(one.equal(FusedNetwork(network).forward(images)));
    }
  }
  at::set_num_threads(threads);
}

TEST(FusedNetwork, RefusesImagesOfAnotherSize) {
  Network network(small_graph(), 1);
  FusedNetwork fused(network);
  EXPECT_THROW(fused.forward(at::randn({1, 3, 12, 13})), ShapeError);
}

TEST(FusedNetwork, GivesEveryOutputForImagesOfAnySize) {
  Graph graph = small_graph();
  graph.set_output("middle", graph.find("concat"));
  graph.set_output("early", graph.find("stem"));
  Network network(graph, 1);
  network.eval();
  FusedNetwork fused(network, {.every_output = true, .any_size = true});
  at::NoGradGuard no_grad;
  for (const int64_t width : {12, 31, 9, 12}) {
    const at::Tensor images = at::randn({2, 3, 14, width});
    const NamedValues expected = network.forward(images, {.any_size = true});
    const std::vector<at::Tensor> outputs = fused.outputs(images);
    ASSERT_EQ(outputs.size(), 3U);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const std::string& name = graph.outputs()[i].first;
      EXPECT_TRUE(at::allclose(outputs[i], expected.at(name), 1e-4, 1e-5)) << name << " " << width;
    }
  }
  EXPECT_THROW(fused.outputs(at::randn({2, 4, 14, 12})), ShapeError);
  EXPECT_THROW(network.forward(at::randn({2, 3, 14, 13})), ShapeError);
}

TEST(FusedNetwork, RefusesWhatItCanNotRun) {
  Network network(small_graph(), 1);
  EXPECT_TRUE(FusedNetwork::can_run(network));
  network.set_execution({.fuse = false});
  EXPECT_FALSE(FusedNetwork::can_run(network));
  EXPECT_THROW(FusedNetwork{network}, std::invalid_argument);
  EXPECT_FALSE(FusedNetwork::can_run(Network(small_graph(), 1, Layout::kContiguous)));
  Network exact(small_graph(), 1);
  exact.to(at::kDouble);
  EXPECT_FALSE(FusedNetwork::can_run(exact));
}

TEST(Predictor, IsTheNetworkInEvaluationAndInTraining) {
  Network network(small_graph(), 1);
  const at::Tensor images = at::randn({2, 3, 12, 12});
  at::NoGradGuard no_grad;
  network.eval();
  EXPECT_LT((predictor(network)(images) - network.forward(images)).norm().item<double>(), 1e-5);
  network.train();
  // By the batch's statistics, which a fused network does not know.
  EXPECT_TRUE(predictor(network)(images).equal(network.forward(images)));
}

}  // namespace
}  // namespace striate
