#include "striate/runtime/gradient_network.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/tiles_allowed.h"
#include "striate/base/error.h"

namespace striate {
namespace {

// Of a sum of a few thousand products in float32; Winograd's has larger terms.
constexpr double kTolerance = 1e-5;
constexpr double kWinogradTolerance = 5e-5;

// Values that several steps read, two shortcuts, each way of convolving, a dense block, and what
// has LibTorch's gradient.
Graph block_graph(ReluGradient gradient = ReluGradient::kDerivative) {
  Graph graph("blocks", {3, 21, 19});
  const Scope s(graph);
  const auto relu = [&](const std::string& name, Value x) {
    return graph.append(name, ReLU{.gradient = gradient}, {x});
  };
  const auto conv = [&](const std::string& name, Value x, const Conv2d& op) {
    return s.batch_norm2d(name + "_bn", s.conv2d(name, x, op));
  };
  Value x = relu("relu0", conv("stem", graph.input(),
                               {.out_channels = 12, .kernel_size = 5, .stride = 2, .padding = 2}));
  x = s.max_pool2d(x, {.kernel_size = 2, .stride = 1});
  // A shortcut by a convolution, then one by the value itself.
  Value y = relu("relu1", conv("narrow", x, {.out_channels = 8, .kernel_size = 1}));
  y = relu("relu2", conv("middle", y, {.out_channels = 8, .kernel_size = 3, .padding = 1}));
  y = conv("wide", y, {.out_channels = 40, .kernel_size = 1});
  const Value down = conv("down", x, {.out_channels = 40, .kernel_size = 1, .bias = false});
  x = relu("relu3", s.add(y, down));
  y = relu("relu4",
           conv("groups", x, {.out_channels = 40, .kernel_size = 3, .padding = 1, .groups = 10}));
  y = conv("spread", y, {.out_channels = 40, .kernel_size = 3, .padding = 2, .dilation = 2});
  x = relu("relu5", s.add(y, x));
  // A dense layer and a stride.
  const Value grown = s.conv2d("grow", relu("relu6", s.batch_norm2d("grow_bn", x)),
                               {.out_channels = 6, .kernel_size = 1});
  x = relu("relu7", s.concat({x, grown}));
  x = relu("relu8", conv("stride", x, {.out_channels = 33, .kernel_size = 3, .stride = 2}));
  graph.set_output("logits", s.linear("fc", s.flatten(x), {.out_features = 5}));
  return graph;
}

// Weights and statistics of its own.
std::unique_ptr<Network> drawn(Graph graph) {
  at::manual_seed(5);
  auto network = std::make_unique<Network>(std::move(graph), 1);
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : network->tensors()) {
    if (key.ends_with("running_mean")) tensor.normal_(0, 0.2);
    if (key.ends_with("running_var")) tensor.uniform_(0.5, 2);
    if (key.ends_with("bias")) tensor.normal_(0, 0.2);
  }
  network->eval();
  return network;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

struct Result {
  at::Tensor value;
  at::Tensor gradient;
};

Result by_autograd(Network& network, const at::Tensor& images, const at::Tensor& weights) {
  const at::Tensor x = images.detach().clone().requires_grad_();
  const at::Tensor y = network.forward(x);
  return {y.detach(), torch::autograd::grad({(y * weights).sum()}, {x})[0]};
}

// In float64.
Result truth(Network& network, const at::Tensor& images, const at::Tensor& weights) {
  network.to(at::kDouble);
  const Result result = by_autograd(network, images.to(at::kDouble), weights.to(at::kDouble));
  network.to(at::kFloat);
  return result;
}

class GradientOfImages : public testing::TestWithParam<ReluGradient> {};

TEST_P(GradientOfImages, IsThatOfFloat64) {
  const auto network = drawn(block_graph(GetParam()));
  const at::Tensor images = at::randn({3, 3, 21, 19});
  const at::Tensor weights = at::randn({3, 5});
  const Result expected = truth(*network, images, weights);
  ASSERT_GT(expected.gradient.abs().max().item<double>(), 1e-3);
  const auto check = [&](ConvolutionAlgorithm algorithm) {
    network->set_execution({.convolution = algorithm});
    const double tolerance =
        algorithm == ConvolutionAlgorithm::kDirect ? kTolerance : kWinogradTolerance;
    GradientNetwork fast(*network);
    for (int pass = 0; pass < 2; ++pass) {
      EXPECT_LT(distance(fast.forward(images), expected.value), tolerance) << to_string(algorithm);
      EXPECT_LT(distance(fast.backward(weights), expected.gradient), tolerance)
          << to_string(algorithm);
    }
  };
  check(ConvolutionAlgorithm::kDirect);
  check(ConvolutionAlgorithm::kWinograd);
  for (const bool tiles : ways_to_multiply()) {
    const TilesAllowed allowed(tiles);
    check(ConvolutionAlgorithm::kAuto);
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, GradientOfImages,
                         testing::Values(ReluGradient::kDerivative, ReluGradient::kGuided,
                                         ReluGradient::kDeconvolution));

TEST(GradientNetwork, IsTheSameToRoundingForAnyNumberOfThreads) {
  const auto network = drawn(block_graph());
  const at::Tensor images = at::randn({2, 3, 21, 19});
  const at::Tensor weights = at::randn({2, 5});
  const int threads = at::get_num_threads();
  std::vector<at::Tensor> results;
  for (const int count : {1, 3}) {
    at::set_num_threads(count);
    GradientNetwork fast(*network);
    fast.forward(images);
    results.push_back(fast.backward(weights));
  }
  at::set_num_threads(threads);
  EXPECT_LT(distance(results[0], results[1].to(at::kDouble)), 1e-6);
}

TEST(GradientNetwork, OfAMapThatIsReadFurtherIsItsOwn) {
  Graph inner("inner", {3, 21, 19});
  const Scope s(inner);
  const Value x = s.relu(s.conv2d("conv", inner.input(), {.out_channels = 4, .kernel_size = 3}));
  inner.set_output("map", x);
  inner.set_output("logits", s.linear("fc", s.flatten(x), {.out_features = 2}));
  const auto network = drawn(inner);
  const at::Tensor images = at::randn({2, 3, 21, 19});
  const at::Tensor weights = at::randn({2, 4, 19, 17});
  const Result expected = truth(*network, images, weights);
  GradientNetwork fast(*network);
  EXPECT_LT(distance(fast.forward(images), expected.value), kTolerance);
  EXPECT_LT(distance(fast.backward(weights), expected.gradient), kTolerance);
}

TEST(GradientNetwork, OfTheImagesThemselvesIsTheGradientItself) {
  Graph graph("nothing", {3, 4, 5});
  graph.set_output("images", graph.input());
  Network network(graph, 1);
  network.eval();
  GradientNetwork fast(network);
  const at::Tensor images = at::randn({2, 3, 4, 5});
  const at::Tensor weights = at::randn({2, 3, 4, 5});
  EXPECT_TRUE(fast.forward(images).equal(images));
  EXPECT_TRUE(fast.backward(weights).equal(weights));
}

TEST(GradientNetwork, TakesImagesOfAnyType) {
  const auto network = drawn(block_graph());
  const at::Tensor images = at::randn({2, 3, 21, 19});
  const at::Tensor weights = at::randn({2, 5});
  GradientNetwork fast(*network);
  fast.forward(images);
  const at::Tensor expected = fast.backward(weights);
  fast.forward(images.to(at::kDouble));
  const at::Tensor gradient = fast.backward(weights.to(at::kDouble));
  EXPECT_EQ(gradient.scalar_type(), at::kDouble);
  EXPECT_TRUE(gradient.equal(expected.to(at::kDouble)));
}

TEST(GradientNetwork, LeavesTheCallersTensorsAsTheyAre) {
  const auto network = drawn(block_graph());
  const at::Tensor images = at::randn({2, 3, 21, 19});
  const at::Tensor weights = at::randn({2, 5});
  const at::Tensor images_before = images.clone();
  const at::Tensor weights_before = weights.clone();
  GradientNetwork fast(*network);
  const at::Tensor value = fast.forward(images);
  const at::Tensor value_before = value.clone();
  fast.backward(weights);
  EXPECT_TRUE(images.equal(images_before));
  EXPECT_TRUE(weights.equal(weights_before));
  EXPECT_TRUE(value.equal(value_before));
}

TEST(GradientNetwork, RefusesWhatItCanNotDo) {
  const auto network = drawn(block_graph());
  GradientNetwork fast(*network);
  EXPECT_THROW(fast.backward(at::randn({2, 5})), std::logic_error);
  EXPECT_THROW(fast.forward(at::randn({2, 3, 21, 20})), ShapeError);
  fast.forward(at::randn({2, 3, 21, 19}));
  EXPECT_THROW(fast.backward(at::randn({2, 6})), ShapeError);
  fast.backward(at::randn({2, 5}));
  EXPECT_THROW(fast.backward(at::randn({2, 5})), std::logic_error);
  network->train();
  EXPECT_FALSE(GradientNetwork::can_run(*network));
  EXPECT_THROW(GradientNetwork{*network}, std::invalid_argument);
  network->eval();
  network->set_execution({.precision = Precision::kBFloat16});
  EXPECT_FALSE(GradientNetwork::can_run(*network));
}

}  // namespace
}  // namespace striate
