#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <map>

#include "models/networks.h"
#include "striate/models/models.h"
#include "striate/runtime/fused_network.h"
#include "striate/runtime/gradient_network.h"
#include "striate/runtime/network.h"

namespace striate {
namespace {

class EveryModel : public testing::TestWithParam<std::string> {};

bool drops_paths(const Graph& graph) {
  return std::ranges::any_of(graph.nodes(), [](const Node& node) {
    return std::holds_alternative<StochasticDepth>(node.op) ||
           std::holds_alternative<FractalJoin>(node.op);
  });
}

TEST_P(EveryModel, GivesEveryParameterAGradient) {
  const ModelEntry& entry = find_model(GetParam());
  Network network(build_model(entry.name, {.input = small_input(entry), .classes = 10}), 1);
  network.train();
  Shape batch = small_input(entry);
  batch.insert(batch.begin(), 2);
  at::manual_seed(1);
  // Where steps leave parts out, several reach them all.
  const int steps = drops_paths(network.graph()) ? 12 : 1;
  for (int i = 0; i < steps; ++i) {
    const at::Tensor y = network.forward(at::randn(batch));
    if (y.requires_grad()) y.square().sum().backward();
  }
  for (size_t i = 0; i < network.specs().size(); ++i) {
    if (network.specs()[i].kind != TensorSpec::Kind::kParameter) continue;
    const auto& [key, tensor] = network.tensors()[i];
    ASSERT_TRUE(tensor.grad().defined()) << key;
    EXPECT_TRUE(at::isfinite(tensor.grad()).all().item<bool>()) << key;
    EXPECT_GT(tensor.grad().abs().max().item<double>(), 0) << key;
  }
}

TEST_P(EveryModel, SaysTheSameOfAnImageAloneAndInABatch) {
  if (GetParam() == "resnet1202") {
    GTEST_SKIP()
        << "without trained statistics each of its 600 blocks doubles the variance, beyond "
           "what float32 holds";
  }
  const ModelEntry& entry = find_model(GetParam());
  Network network(build_model(entry.name, {.input = small_input(entry), .classes = 10}), 1);
  network.eval();
  Shape batch = small_input(entry);
  batch.insert(batch.begin(), 2);
  at::NoGradGuard no_grad;
  const at::Tensor images = at::randn(batch);
  const at::Tensor both = network.forward(images);
  const at::Tensor alone = network.forward(images.slice(0, 1, 2));
  EXPECT_EQ(both.sizes(), (std::vector<int64_t>{2, 10}));
  // Kernels for one image add in another order.
  EXPECT_LT((both[1] - alone[0]).norm().item<double>(), 1e-4 * both[1].norm().item<double>());
}

// Batch-norms are to have statistics of their own, else folding them would change little.
void draw_statistics(Network& network) {
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : network.tensors()) {
    if (key.ends_with("running_mean")) tensor.normal_(0, 0.2);
    if (key.ends_with("running_var")) tensor.uniform_(0.5, 2);
  }
}

// A network in evaluation, and three images for it.
struct Evaluated {
  explicit Evaluated(const ModelEntry& entry)
      : network(build_model(entry.name, {.input = small_input(entry), .classes = 10}), 1) {
    at::manual_seed(2);
    draw_statistics(network);
    network.eval();
    Shape batch = small_input(entry);
    batch.insert(batch.begin(), 3);
    images = at::randn(batch);
  }

  Network network;
  at::Tensor images;
};

TEST_P(EveryModel, PredictsTheSameFused) {
  if (GetParam() == "resnet1202") {
    GTEST_SKIP() << "untrained, it is beyond what float32 holds";
  }
  Evaluated evaluated(find_model(GetParam()));
  Network& network = evaluated.network;
  const at::Tensor& images = evaluated.images;
  at::NoGradGuard no_grad;
  const Execution libtorch{.convolution = ConvolutionAlgorithm::kDirect, .fuse = false};
  network.set_execution(libtorch);
  const at::Tensor plain = network.forward(images);
  network.to(at::kDouble);
  const at::Tensor truth = network.forward(images.to(at::kDouble));
  network.to(at::kFloat);
  const double rounding = ((plain - truth).norm() / truth.norm()).item<double>();
  for (const auto algorithm : {ConvolutionAlgorithm::kDirect, ConvolutionAlgorithm::kWinograd}) {
    network.set_execution({.convolution = algorithm});
    const at::Tensor fused = FusedNetwork(network).forward(images);
    const double bound = algorithm == ConvolutionAlgorithm::kDirect ? 1e-5 : 5e-5;
    EXPECT_LT(((fused - truth).norm() / truth.norm()).item<double>(), bound + 4 * rounding)
        << to_string(algorithm);
  }
  const auto distance_in_bf16 = [&](bool fuse) {
    network.set_execution({.fuse = fuse, .precision = Precision::kBFloat16});
    const at::Tensor y = fuse ? FusedNetwork(network).forward(images) : network.forward(images);
    return ((y - truth).norm() / truth.norm()).item<double>();
  };
  EXPECT_GT(distance_in_bf16(true), 1e-4) << "it is float32 still";
  EXPECT_LT(distance_in_bf16(true), 0.01 + 1.5 * distance_in_bf16(false));
}

struct Step {
  at::Tensor logits;
  std::map<std::string, at::Tensor> tensors;  // gradients, and statistics after the step
};

// A training step of a fresh network. The same parts are dropped whenever it is called.
Step training_step(const ModelEntry& entry, const Execution& execution,
                   at::ScalarType type = at::kFloat) {
  Network network(build_model(entry.name, {.input = small_input(entry), .classes = 10}), 1);
  network.to(type);
  network.set_execution(execution);
  Shape batch = small_input(entry);
  batch.insert(batch.begin(), 4);
  at::manual_seed(1);
  const at::Tensor images = at::randn(batch).to(type);
  Step step{.logits = network.forward(images), .tensors = {}};
  const at::Tensor labels = at::arange(4, at::kLong);
  step.logits.log_softmax(1).gather(1, labels.unsqueeze(1)).sum().backward();
  step.logits = step.logits.detach().to(at::kDouble);
  for (size_t i = 0; i < network.specs().size(); ++i) {
    const auto& [key, tensor] = network.tensors()[i];
    const bool trained = network.specs()[i].kind == TensorSpec::Kind::kParameter;
    if (!trained) step.tensors[key] = tensor.to(at::kDouble);
    if (trained && tensor.grad().defined()) step.tensors[key] = tensor.grad().to(at::kDouble);
  }
  return step;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / (b.norm() + 1e-30)).item<double>();
}

// Of all gradients and statistics: the root of the mean square of their distances. The gradient of
// a bias in front of a batch-norm is nothing but rounding: 1 at most.
double distance(const Step& a, const Step& b) {
  double squares = 0;
  for (const auto& [key, tensor] : b.tensors) {
    squares += std::pow(std::min(1.0, distance(a.tensors.at(key), tensor)), 2);
  }
  return std::sqrt(squares / static_cast<double>(b.tensors.size()));
}

// Fused steps and Winograd's convolutions are as near to float64 as LibTorch's operators. A ReLU
// whose input is within rounding of zero may fall to either side in each of them, so that the
// gradients of a deep network differ by far more than a rounding: kKink. Gradients without such
// falls are held to 1e-5 and 2e-5 in tests/runtime.
constexpr double kKink = 0.02;

class WaysOfComputing : public testing::TestWithParam<std::string> {};

TEST_P(WaysOfComputing, AreAsExact) {
  if (GetParam() == "resnet1202") {
    GTEST_SKIP() << "its first step from nothing is beyond what float32 holds";
  }
  const ModelEntry& entry = find_model(GetParam());
  const Execution libtorch{.convolution = ConvolutionAlgorithm::kDirect, .fuse = false};
  const Step truth = training_step(entry, libtorch, at::kDouble);
  const Step plain = training_step(entry, libtorch);
  const Step fused =
      training_step(entry, {.convolution = ConvolutionAlgorithm::kDirect, .fuse = true});
  const Step winograd =
      training_step(entry, {.convolution = ConvolutionAlgorithm::kWinograd, .fuse = true});
  EXPECT_EQ(fused.tensors.size(), truth.tensors.size());
  EXPECT_LT(distance(fused.logits, truth.logits), 1e-5 + 4 * distance(plain.logits, truth.logits));
  EXPECT_LT(distance(fused, truth), kKink + 4 * distance(plain, truth));
  EXPECT_LT(distance(winograd.logits, truth.logits),
            5e-5 + 4 * distance(plain.logits, truth.logits));
  EXPECT_LT(distance(winograd, truth), kKink + 4 * distance(plain, truth));
  const Step fastest = training_step(entry, {});
  EXPECT_LT(distance(fastest.logits, truth.logits),
            5e-5 + 4 * distance(plain.logits, truth.logits));
  EXPECT_LT(distance(fastest, truth), kKink + 4 * distance(plain, truth));

  // bfloat16 is as exact as LibTorch's operators on it.
  const Step plain_half = training_step(entry, {.convolution = ConvolutionAlgorithm::kDirect,
                                                .fuse = false,
                                                .precision = Precision::kBFloat16});
  const Step half = training_step(entry, {.precision = Precision::kBFloat16});
  EXPECT_GT(distance(half.logits, truth.logits), 1e-4) << "it is float32 still";
  EXPECT_LT(distance(half.logits, truth.logits),
            0.01 + 1.5 * distance(plain_half.logits, truth.logits));
  EXPECT_LT(distance(half, truth), 0.05 + 1.5 * distance(plain_half, truth));
}

// The gradient of images alone is as near to float64's as autograd's.
TEST_P(EveryModel, GivesImagesTheSameGradient) {
  if (GetParam() == "resnet1202") {
    GTEST_SKIP() << "untrained, it is beyond what float32 holds";
  }
  Evaluated evaluated(find_model(GetParam()));
  Network& network = evaluated.network;
  const at::Tensor& images = evaluated.images;
  const at::Tensor weights = at::randn({3, 10});
  const auto by_autograd = [&](at::ScalarType type) {
    network.to(type);
    const at::Tensor x = images.to(type).clone().requires_grad_();
    return torch::autograd::grad({(network.forward(x) * weights.to(type)).sum()}, {x})[0];
  };
  const at::Tensor truth = by_autograd(at::kDouble);
  network.set_execution({.convolution = ConvolutionAlgorithm::kDirect, .fuse = false});
  const double plain = distance(by_autograd(at::kFloat), truth);
  network.set_execution({});
  GradientNetwork fast(network);
  fast.forward(images);
  EXPECT_LT(distance(fast.backward(weights), truth), kKink + 4 * plain);
}

// One of each kind of block.
const std::vector<std::string> kUsual = {"lenet5",
                                         "lenet5@paper",
                                         "alexnet",
                                         "alexnet@paper",
                                         "nin",
                                         "nin_cifar",
                                         "vgg16",
                                         "vgg11_bn",
                                         "googlenet",
                                         "googlenet@paper",
                                         "inception_naive",
                                         "inception_reduced",
                                         "resnet18",
                                         "resnet50",
                                         "resnet50@paper",
                                         "plain18",
                                         "resnet20",
                                         "resnet56",
                                         "plain20",
                                         "plain56",
                                         "resnet110_sd",
                                         "wide_resnet50_2",
                                         "wrn_16_4",
                                         "resnext50_32x4d",
                                         "resnext29_8x64d",
                                         "fractalnet20",
                                         "densenet121",
                                         "densenet40_12",
                                         "densenetbc100_12",
                                         "squeezenet1_0",
                                         "squeezenet1_0_bypass",
                                         "squeezenet1_1"};

INSTANTIATE_TEST_SUITE_P(Registry, EveryModel, testing::ValuesIn(kUsual), test_name);
INSTANTIATE_TEST_SUITE_P(Deeper, EveryModel, testing::ValuesIn(all_but(kUsual)), test_name);

const std::vector<std::string> kQuick = {
    "lenet5",       "nin_cifar",     "googlenet",    "resnet18", "resnet50",
    "resnet20",     "resnet110_sd",  "plain20",      "wrn_16_4", "resnext50_32x4d",
    "fractalnet20", "densenet40_12", "squeezenet1_1"};
INSTANTIATE_TEST_SUITE_P(Registry, WaysOfComputing, testing::ValuesIn(kQuick), test_name);
INSTANTIATE_TEST_SUITE_P(Deeper, WaysOfComputing, testing::ValuesIn(all_but(kQuick)), test_name);

}  // namespace
}  // namespace striate
