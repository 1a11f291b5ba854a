// What must hold of attributions whatever the network; numbers of other programs are in
// attribution_reference_test.cpp.
#include "striate/visualization/attribution.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>
#include <memory>

#include "striate/base/error.h"
#include "striate/models/models.h"
#include "visualization/derived_network.h"
#include "visualization/score.h"

namespace striate {
namespace {

// Sums of some hundred float32 numbers in another order.
constexpr double kFloatTolerance = 1e-5;
// The same sums in float64, and batch-norms folded.
constexpr double kDoubleTolerance = 1e-10;

double relative_error(const at::Tensor& ours, const at::Tensor& right) {
  const at::Tensor r = right.to(at::kDouble);
  return ((ours.to(at::kDouble) - r).norm() / r.norm()).item<double>();
}

at::Tensor random(at::IntArrayRef shape, uint64_t seed = 1) {
  at::manual_seed(seed);
  return at::randn(shape);
}

Target classes(const std::vector<int64_t>& numbers) {
  return {.channels = at::tensor(numbers)};
}

Graph linear_network() {
  Graph graph("linear", {2, 5, 7});
  const Scope s(graph);
  graph.set_output("logits",
                   s.linear("fc", s.flatten(graph.input()), {.out_features = 3, .bias = true}));
  return graph;
}

// Batch-norms, a shortcut, a concatenation, dropout, and a global average before one linear layer.
Graph small_network() {
  Graph graph("small", {3, 9, 11});
  const Scope s(graph);
  Value x =
      s.relu(s.batch_norm2d("bn1", s.conv2d("conv1", graph.input(),
                                            {.out_channels = 6, .kernel_size = 3, .padding = 1})),
             "relu1");
  Value y = s.batch_norm2d(
      "bn2", s.conv2d("conv2", x, {.out_channels = 6, .kernel_size = 3, .padding = 1}));
  x = s.relu(s.add(y, x), "relu2");
  x = s.max_pool2d(x, {.kernel_size = 2});
  y = s.relu(s.conv2d("conv3", x, {.out_channels = 4, .kernel_size = 1}), "relu3");
  x = s.concat({x, y}, "maps");
  x = s.dropout(s.flatten(s.adaptive_avg_pool2d(x, {.output_size = 1})), {.p = 0.5});
  graph.set_output("logits", s.linear("fc", x, {.out_features = 5}));
  return graph;
}

// Running statistics are not those that a new network has.
std::unique_ptr<Network> trained(Graph graph, Layout layout = Layout::kChannelsLast) {
  auto network = std::make_unique<Network>(std::move(graph), /*seed=*/3, layout);
  at::NoGradGuard no_grad;
  at::manual_seed(4);
  for (const auto& [key, tensor] : network->tensors()) {
    if (key.ends_with("running_mean") || key.ends_with("bias")) tensor.normal_(0, 0.3);
    if (key.ends_with("running_var")) tensor.uniform_(0.5, 1.5);
  }
  network->eval();
  return network;
}

at::Tensor plain_gradient(Network& network, const at::Tensor& images, const at::Tensor& channels) {
  network.eval();
  const at::Tensor x = images.detach().clone().requires_grad_();
  const at::Tensor scores = network.forward(x).gather(1, channels.unsqueeze(1));
  return torch::autograd::grad({scores.sum()}, {x})[0];
}

TEST(Saliency, OfALinearNetworkIsItsWeights) {
  const Network network(linear_network(), 1);
  const at::Tensor gradient = saliency(network, random({2, 2, 5, 7}), classes({2, 0}));
  const at::Tensor weight = network.tensor("fc.weight").detach().view({3, 2, 5, 7});
  EXPECT_TRUE(gradient[0].equal(weight[2]));
  EXPECT_TRUE(gradient[1].equal(weight[0]));
}

TEST(Saliency, IsTheGradientOfTheNetworkItself) {
  for (const std::string name : {"resnet20", "densenet40_12", "resnet110_sd"}) {
    const auto network = trained(build_model(name));
    network->to(at::kDouble);
    const at::Tensor images = random({2, 3, 32, 32}).to(at::kDouble);
    const Target target = classes({1, 8});
    EXPECT_LT(relative_error(saliency(*network, images, target),
                             plain_gradient(*network, images, target.channels)),
              kDoubleTolerance)
        << name;
  }
}

TEST(Saliency, OfAGreyNetworkAndOfOddSizesIsTheGradient) {
  const std::vector<std::pair<std::string, Shape>> cases = {
      {"lenet5", {1, 28, 28}}, {"resnet20", {3, 33, 47}}, {"squeezenet1_1", {3, 65, 71}}};
  for (const auto& [name, shape] : cases) {
    const auto network =
        trained(build_model(name, {.input = shape, .classes = 10}), Layout::kContiguous);
    const at::Tensor images = random({2, shape[0], shape[1], shape[2]});
    const Target target = classes({3, 4});
    EXPECT_LT(relative_error(saliency(*network, images, target),
                             plain_gradient(*network, images, target.channels)),
              kFloatTolerance)
        << name;
    EXPECT_EQ(occlusion(*network, images, target, {.window = 16, .stride = 13}).sizes(),
              at::IntArrayRef({2, shape[1], shape[2]}));
    const std::string layer = default_layer(network->graph());
    EXPECT_EQ(guided_grad_cam(*network, images, target, layer).sizes(), images.sizes());
  }
}

TEST(Saliency, OfAUnitIsZeroOutsideItsReceptiveField) {
  const auto network = trained(small_network());
  const Target target{
      .channels = at::tensor({int64_t{4}}), .node = "conv1", .position = Position{.y = 5, .x = 2}};
  at::Tensor gradient = saliency(*network, random({1, 3, 9, 11}), target);
  const at::Tensor weight = network->tensor("conv1.weight").detach()[4];
  EXPECT_LT(relative_error(gradient[0].slice(1, 4, 7).slice(2, 1, 4), weight), kFloatTolerance);
  gradient.slice(2, 4, 7).slice(3, 1, 4).zero_();
  EXPECT_EQ(gradient.abs().max().item<float>(), 0);
}

TEST(Saliency, OfANetworkWithoutWeightsIsItsGradient) {
  Graph graph("bare", {2, 4, 4});
  graph.set_output("value", Scope(graph).relu(graph.input()));
  const Network network(std::move(graph), 1);
  const at::Tensor images = random({2, 2, 4, 4});
  const at::Tensor gradient = saliency(network, images, classes({1, 0}));
  EXPECT_TRUE(gradient[0][1].equal((images[0][1] > 0).to(at::kFloat) / 16));
  EXPECT_EQ(gradient[0][0].abs().max().item<float>(), 0);
}

TEST(Saliency, InBFloat16IsThatOfFloat32ToItsPrecision) {
  const auto network = trained(small_network());
  const at::Tensor images = random({4, 3, 9, 11});
  const at::Tensor exact = saliency(*network, images, classes({0, 1, 2, 3}));
  const at::Tensor cam = grad_cam(*network, images, classes({0, 1, 2, 3}), "relu2");
  network->set_execution({.precision = Precision::kBFloat16});
  const at::Tensor lower = saliency(*network, images, classes({0, 1, 2, 3}));
  EXPECT_EQ(lower.scalar_type(), at::kFloat);
  constexpr double kBFloat16Tolerance = 0.1;  // some ReLUs near zero decide otherwise
  EXPECT_LT(relative_error(lower, exact), kBFloat16Tolerance);
  EXPECT_LT(relative_error(grad_cam(*network, images, classes({0, 1, 2, 3}), "relu2"), cam),
            kBFloat16Tolerance);
}

TEST(Saliency, OfOneColumnOfAFractalNetIsThatColumns) {
  const auto network = trained(build_model("fractalnet20", {.input = {3, 32, 32}}));
  network->use_column(2);
  const at::Tensor images = random({1, 3, 32, 32});
  EXPECT_LT(relative_error(saliency(*network, images, classes({5})),
                           plain_gradient(*network, images, at::tensor({int64_t{5}}))),
            1e-4);
  // Before the first join there are no columns.
  const std::string first = network->graph().nodes()[1].name;
  EXPECT_NO_THROW(saliency(*network, images, same_target(1, 0, first)));
}

// y = relu(conv1(x)), z = relu(conv2(y)): what enters each ReLU, by the rules' definitions.
TEST(GuidedBackprop, NeverPassesANegativeSignal) {
  Graph graph("two", {3, 8, 8});
  const Scope s(graph);
  const Conv2d conv{.out_channels = 6, .kernel_size = 3, .padding = 1};
  const Value y = s.relu(s.conv2d("conv1", graph.input(), conv), "relu1");
  const Value z = s.relu(s.conv2d("conv2", y, conv), "relu2");
  graph.set_output("logits", s.linear("fc", s.flatten(z), {.out_features = 4}));
  const auto network = trained(std::move(graph));
  const at::Tensor images = random({3, 3, 8, 8});
  const Target target{.channels = at::tensor({int64_t{0}, int64_t{2}, int64_t{3}}), .node = "fc"};
  for (const std::string name : {"conv1", "conv2"}) {
    const auto derive = [&](ReluGradient rule) {
      const auto derived = derived_network(*network, {.ends = {"fc", name}, .relu = rule});
      return score_gradient(*derived, images, target, name);
    };
    const auto [input, plain] = derive(ReluGradient::kDerivative);
    const at::Tensor off = input <= 0;
    EXPECT_LT(plain.min().item<float>(), 0) << name;
    const at::Tensor guided = derive(ReluGradient::kGuided).gradient;
    EXPECT_GE(guided.min().item<float>(), 0) << name;
    EXPECT_GT(guided.max().item<float>(), 0) << name;
    EXPECT_EQ(guided.masked_select(off).abs().max().item<float>(), 0) << name;
    const at::Tensor back = derive(ReluGradient::kDeconvolution).gradient;
    EXPECT_GE(back.min().item<float>(), 0) << name;
    EXPECT_GT(back.masked_select(off).max().item<float>(), 0) << name;
  }
}

TEST(GuidedBackprop, OfANetworkWithoutReLUsIsTheSaliency) {
  const Network network(linear_network(), 1);
  const at::Tensor images = random({2, 2, 5, 7});
  const at::Tensor gradient = saliency(network, images, classes({1, 1}));
  EXPECT_TRUE(guided_backprop(network, images, classes({1, 1})).equal(gradient));
  EXPECT_TRUE(deconvolution(network, images, classes({1, 1})).equal(gradient));
}

TEST(ScoreGradient, OfAScoreThatDoesNotDependOnTheLeafIsZero) {
  const auto network = trained(small_network());
  const auto derived = derived_network(*network, {.ends = {"relu1", "relu3", "fc"}});
  const at::Tensor images = random({2, 3, 9, 11});
  const Gradient gradient = score_gradient(*derived, images, same_target(2, 1, "relu1"), "relu3");
  EXPECT_EQ(gradient.gradient.sizes(), at::IntArrayRef({2, 4, 4, 5}));
  EXPECT_EQ(gradient.gradient.abs().max().item<float>(), 0);
}

TEST(SmoothGrad, WithoutNoiseIsTheSaliency) {
  const auto network = trained(small_network());
  const at::Tensor images = random({2, 3, 9, 11});
  const Target target = classes({0, 4});
  const at::Tensor gradient = saliency(*network, images, target);
  EXPECT_LT(
      relative_error(smooth_grad(*network, images, target, {.samples = 3, .noise = 0}), gradient),
      kFloatTolerance);
  EXPECT_LT(
      relative_error(smooth_grad(*network, images, target, at::zeros({3, 2, 3, 9, 11})), gradient),
      kFloatTolerance);
}

TEST(SmoothGrad, OfTheSameSeedIsTheSameToTheBit) {
  const auto network = trained(small_network());
  const at::Tensor images = random({2, 3, 9, 11});
  const auto smooth = [&](uint64_t seed) {
    return smooth_grad(*network, images, classes({0, 4}), {.samples = 4, .seed = seed});
  };
  const at::Tensor first = smooth(7);
  EXPECT_TRUE(smooth(7).equal(first));
  EXPECT_GT(relative_error(smooth(8), first), 1e-3);
}

// The score's difference between the images and the baseline.
at::Tensor difference(Network& network, const at::Tensor& images, const at::Tensor& baseline,
                      const Target& target) {
  at::NoGradGuard no_grad;
  return scores(network.forward(images), target) -
         scores(network.forward(baseline.expand_as(images).contiguous()), target);
}

// Along the way the gradient of a network of ReLUs jumps, so that many steps are needed.
TEST(IntegratedGradients, SumToTheDifferenceOfTheScores) {
  const std::vector<std::pair<Graph, int64_t>> cases = {
      {small_network(), 1000},
      {build_model("lenet5", {.input = {1, 28, 28}}), 1000},
      {build_model("lenet5@paper"), 32}};  // of tanh
  for (const auto& [graph, steps] : cases) {
    const auto network = trained(graph);
    const Shape& shape = graph.input_shape();
    const at::Tensor images = random({2, shape[0], shape[1], shape[2]});
    const Target target = classes({3, 4});
    for (const at::Tensor& baseline : {at::Tensor(), random(shape, 2) * 0.3}) {
      const at::Tensor sums =
          integrated_gradients(*network, images, target, {.baseline = baseline, .steps = steps})
              .sum({1, 2, 3});
      const at::Tensor from = baseline.defined() ? baseline : at::zeros(shape);
      EXPECT_LT(relative_error(sums, difference(*network, images, from.unsqueeze(0), target)), 0.01)
          << graph.name();
    }
  }
}

TEST(IntegratedGradients, AreTheGradientsOnTheWay) {
  for (const std::string name : {"resnet20", "lenet5@paper"}) {
    const auto network = trained(build_model(name));
    network->to(at::kDouble);
    const Shape& shape = network->graph().input_shape();
    const at::Tensor images = random({2, shape[0], shape[1], shape[2]}).to(at::kDouble);
    const at::Tensor baseline = random(shape, 2).to(at::kDouble);
    const Target target = classes({3, 4});
    // Legendre's rule of two points.
    const at::Tensor way = images - baseline;
    const double off = 0.5 / std::sqrt(3.0);
    const auto gradient = [&](double at) {
      return plain_gradient(*network, baseline + way * at, target.channels);
    };
    EXPECT_LT(relative_error(integrated_gradients(*network, images, target,
                                                  {.baseline = baseline, .steps = 2}),
                             way * 0.5 * (gradient(0.5 - off) + gradient(0.5 + off))),
              kDoubleTolerance)
        << name;
  }
}

TEST(SmoothGrad, IsTheMeanGradientOfNoisyImages) {
  const auto network = trained(build_model("resnet20"));
  network->to(at::kDouble);
  const at::Tensor images = random({2, 3, 32, 32}).to(at::kDouble);
  const at::Tensor noise = random({3, 2, 3, 32, 32}, 2).to(at::kDouble);
  const Target target = classes({3, 4});
  at::Tensor sum = at::zeros_like(images);
  for (int64_t i = 0; i < 3; ++i) {
    sum += plain_gradient(*network, images + noise[i], target.channels);
  }
  EXPECT_LT(relative_error(smooth_grad(*network, images, target, noise), sum / 3),
            kDoubleTolerance);
}

TEST(IntegratedGradients, OfALinearNetworkIsWeightTimesImageInOneStep) {
  const Network network(linear_network(), 1);
  const at::Tensor images = random({2, 2, 5, 7});
  const at::Tensor baseline = random({2, 5, 7}, 2);
  const at::Tensor weight = network.tensor("fc.weight").detach()[1].view({2, 5, 7});
  EXPECT_LT(relative_error(integrated_gradients(network, images, classes({1, 1}),
                                                {.baseline = baseline, .steps = 1}),
                           weight * (images - baseline)),
            kFloatTolerance);
}

TEST(GradCam, BeforeAGlobalAverageIsTheClassActivationMap) {
  const auto network = trained(small_network());
  const at::Tensor images = random({2, 3, 9, 11});
  at::NoGradGuard no_grad;
  const at::Tensor maps = network->forward(images, {.taps = {"maps"}}).at("maps");
  int64_t positive = 0;
  for (int64_t c = 0; c < 5; ++c) {
    const at::Tensor weight = network->tensor("fc.weight").detach()[c].view({-1, 1, 1});
    const at::Tensor right = (weight * maps).sum(1) / (4 * 5);
    const at::Tensor cam = grad_cam(*network, images, same_target(2, c), "maps");
    const at::Tensor difference = cam - right.clamp_min(0);
    EXPECT_LT(difference.norm().item<float>(), kFloatTolerance * right.norm().item<float>()) << c;
    positive += (right > 0).sum().item<int64_t>();
  }
  EXPECT_GT(positive, 20);  // of 200
}

TEST(GuidedGradCam, IsGuidedBackpropTimesTheEnlargedMap) {
  const auto network = trained(small_network());
  const at::Tensor images = random({2, 3, 9, 11});
  const Target target = classes({2, 4});
  const at::Tensor cam = grad_cam(*network, images, target, "maps").unsqueeze(1);
  const at::Tensor both = guided_grad_cam(*network, images, target, "maps");
  const at::Tensor guided = guided_backprop(*network, images, target);
  EXPECT_TRUE(both.equal(guided * at::upsample_bilinear2d(cam, {9, 11}, false)));
}

// Of a linear network a square takes away its pixels' weights times what changes.
at::Tensor occlusion_of_linear(const at::Tensor& weight, const at::Tensor& image,
                               const OcclusionOptions& options) {
  const at::Tensor change = (weight * (image - options.value)).sum(0);
  const int64_t height = change.size(0);
  const int64_t width = change.size(1);
  const at::Tensor sums = at::zeros({height, width});
  const at::Tensor hits = at::zeros({height, width});
  const auto is_last = [&](int64_t at, int64_t side) { return at + options.window >= side; };
  for (int64_t y = 0;; y += options.stride) {
    for (int64_t x = 0;; x += options.stride) {
      const auto square = [&](const at::Tensor& map) {
        return map.slice(0, y, y + options.window).slice(1, x, x + options.window);
      };
      square(sums) += square(change).sum();
      square(hits) += 1;
      if (is_last(x, width)) break;
    }
    if (is_last(y, height)) break;
  }
  return sums / hits;
}

// By the definition: every pixel's mean over the squares that hide it.
at::Tensor occlusion_of_whole_images(Network& network, const at::Tensor& image, int64_t channel,
                                     const OcclusionOptions& options) {
  const int64_t height = image.size(2);
  const int64_t width = image.size(3);
  const auto score = [&](const at::Tensor& x) { return network.forward(x).select(1, channel); };
  const at::Tensor sums = at::zeros({height, width}, at::kDouble);
  const at::Tensor hits = at::zeros({height, width}, at::kDouble);
  for (int64_t y = 0; y < height - options.window + options.stride; y += options.stride) {
    for (int64_t x = 0; x < width - options.window + options.stride; x += options.stride) {
      const auto square = [&](const at::Tensor& map) {
        return map.slice(-2, y, y + options.window).slice(-1, x, x + options.window);
      };
      const at::Tensor hidden = image.clone();
      square(hidden).fill_(options.value);
      square(sums) += (score(image) - score(hidden)).squeeze();
      square(hits) += 1;
    }
  }
  return sums / hits;
}

TEST(Occlusion, IsThatOfWholeImagesWhateverTheSizes) {
  struct Case {
    std::string name;
    Shape shape;
    OcclusionOptions options;
  };
  for (const Case& c : {Case{"lenet5", {1, 28, 28}, {.window = 7, .stride = 7}},
                        Case{"resnet20", {3, 57, 46}, {.window = 13, .stride = 12, .value = 0.3}},
                        Case{"densenet40_12", {3, 32, 32}, {.window = 11, .stride = 11}},
                        Case{"squeezenet1_1", {3, 113, 90}, {.window = 25, .stride = 22}},
                        Case{"resnet18", {3, 150, 131}, {.window = 40, .stride = 35}}}) {
    const auto network = trained(build_model(c.name, {.input = c.shape, .classes = 10}));
    network->to(at::kDouble);
    at::NoGradGuard no_grad;
    const at::Tensor image = random({1, c.shape[0], c.shape[1], c.shape[2]}).to(at::kDouble);
    EXPECT_LT(relative_error(occlusion(*network, image, classes({3}), c.options)[0],
                             occlusion_of_whole_images(*network, image, 3, c.options)),
              kDoubleTolerance)
        << c.name;
  }
}

TEST(Occlusion, OfALinearNetworkIsWhatTheSquaresTakeAway) {
  const Network network(linear_network(), 1);
  const at::Tensor images = random({2, 2, 5, 7});
  const at::Tensor weight = network.tensor("fc.weight").detach().view({3, 2, 5, 7});
  for (const OcclusionOptions& options :
       {OcclusionOptions{.window = 1, .stride = 1}, OcclusionOptions{.window = 2, .stride = 1},
        OcclusionOptions{.window = 3, .stride = 2, .value = 0.4, .batch_size = 4},
        OcclusionOptions{.window = 2, .stride = 2, .batch_size = 1},
        OcclusionOptions{.window = 6, .stride = 3, .value = -1},
        OcclusionOptions{.window = 20, .stride = 16}}) {
    const at::Tensor maps = occlusion(network, images, classes({2, 0}), options);
    EXPECT_LT(relative_error(maps[0], occlusion_of_linear(weight[2], images[0], options)), 1e-4)
        << options.window << " " << options.stride;
    EXPECT_LT(relative_error(maps[1], occlusion_of_linear(weight[0], images[1], options)), 1e-4)
        << options.window << " " << options.stride;
  }
}

// Every method, so that what must hold of all is checked of all.
struct Method {
  std::string name;
  std::function<at::Tensor(const Network&, const at::Tensor&, const Target&)> run;
};

std::vector<Method> methods(const ProgressObserver& progress = {}) {
  return {
      {"saliency", saliency},
      {"guided_backprop", guided_backprop},
      {"deconvolution", deconvolution},
      {"smooth_grad",
       [=](const Network& network, const at::Tensor& images, const Target& target) {
         return smooth_grad(network, images, target,
                            {.samples = 3, .batch_size = 4, .progress = progress});
       }},
      {"smooth_grad with noise",
       [](const Network& network, const at::Tensor& images, const Target& target) {
         return smooth_grad(network, images, target, at::zeros_like(images).unsqueeze(0));
       }},
      {"integrated_gradients",
       [=](const Network& network, const at::Tensor& images, const Target& target) {
         return integrated_gradients(network, images, target,
                                     {.steps = 3, .batch_size = 4, .progress = progress});
       }},
      {"grad_cam", [](const Network& network, const at::Tensor& images,
                      const Target& target) { return grad_cam(network, images, target, "relu1"); }},
      {"guided_grad_cam",
       [](const Network& network, const at::Tensor& images, const Target& target) {
         return guided_grad_cam(network, images, target, "relu1");
       }},
      {"occlusion",
       [=](const Network& network, const at::Tensor& images, const Target& target) {
         return occlusion(network, images, target,
                          {.window = 4, .stride = 3, .progress = progress});
       }},
  };
}

TEST(EveryAttribution, LeavesTheNetworkAsItWas) {
  const auto network = trained(small_network());
  const at::Tensor images = random({2, 3, 9, 11});
  const Target target = classes({0, 4});
  for (const Method& method : methods()) {
    network->eval();
    const at::Tensor evaluated = method.run(*network, images, target);
    network->train();
    network->tensor("conv1.weight").set_requires_grad(false);
    std::vector<at::Tensor> before;
    std::vector<bool> required;
    for (const auto& [key, tensor] : network->tensors()) {
      before.push_back(tensor.detach().clone());
      required.push_back(tensor.requires_grad());
    }
    const at::Tensor drawn_next = random({3}, 9);
    at::manual_seed(9);
    EXPECT_TRUE(method.run(*network, images, target).equal(evaluated)) << method.name;
    EXPECT_TRUE(at::randn({3}).equal(drawn_next)) << method.name;
    EXPECT_TRUE(network->is_training()) << method.name;
    for (size_t i = 0; i < before.size(); ++i) {
      const auto& [key, tensor] = network->tensors()[i];
      EXPECT_TRUE(tensor.equal(before[i])) << method.name << ": " << key;
      EXPECT_EQ(tensor.requires_grad(), required[i]) << method.name << ": " << key;
      EXPECT_FALSE(tensor.grad().defined()) << method.name << ": " << key;
    }
  }
}

// Also where gradients are off, and of images that want one of their own.
TEST(EveryAttribution, IsANumberWithoutAHistory) {
  const auto network = trained(small_network());
  const at::Tensor images = random({2, 3, 9, 11});
  const Target target = classes({0, 4});
  for (const Method& method : methods()) {
    const at::Tensor usual = method.run(*network, images, target);
    EXPECT_FALSE(usual.requires_grad()) << method.name;
    EXPECT_GT(usual.abs().max().item<float>(), 0) << method.name;
    const at::Tensor leaf = images.clone().requires_grad_();
    const at::Tensor of_leaf = method.run(*network, leaf, target);
    EXPECT_FALSE(of_leaf.requires_grad()) << method.name;
    EXPECT_TRUE(of_leaf.equal(usual)) << method.name;
    EXPECT_FALSE(leaf.grad().defined()) << method.name;
    at::NoGradGuard no_grad;
    EXPECT_TRUE(method.run(*network, images, target).equal(usual)) << method.name;
  }
}

TEST(EveryAttribution, OfAnImageDoesNotDependOnTheBatch) {
  const auto network = trained(small_network());
  const at::Tensor images = random({3, 3, 9, 11});
  for (const Method& method : methods()) {
    if (method.name == "smooth_grad") continue;  // its noise is drawn for the batch
    const at::Tensor all = method.run(*network, images, classes({0, 4, 1}));
    const at::Tensor one = method.run(*network, images.slice(0, 1, 2), classes({4}));
    EXPECT_LT(relative_error(one[0], all[1]), kFloatTolerance) << method.name;
  }
}

TEST(EveryAttribution, RefusesATargetThatDoesNotFit) {
  const auto network = trained(small_network());
  const at::Tensor images = random({2, 3, 9, 11});
  for (const Method& method : methods()) {
    const auto run = [&](const at::Tensor& of, const Target& target) {
      method.run(*network, of, target);
    };
    EXPECT_THROW(run(images, classes({0, 5})), ShapeError) << method.name;
    EXPECT_THROW(run(images, classes({-1, 0})), ShapeError) << method.name;
    EXPECT_THROW(run(images, classes({0})), ShapeError) << method.name;
    EXPECT_THROW(run(images, classes({0, 1, 2})), ShapeError) << method.name;
    EXPECT_THROW(run(images, Target{}), ShapeError) << method.name;
    EXPECT_THROW(run(images, {.channels = at::zeros({2})}), ShapeError) << method.name;
    EXPECT_THROW(run(images, {.channels = at::zeros({2}, at::kLong), .position = Position{}}),
                 ShapeError)
        << method.name;
    EXPECT_THROW(run(images[0], classes({0, 1, 2})), ShapeError) << method.name;
    EXPECT_THROW(run(random({2, 3, 9, 12}), classes({0, 1})), ShapeError) << method.name;
    EXPECT_THROW(run(random({2, 1, 9, 11}), classes({0, 1})), ShapeError) << method.name;
    const Target outside{.channels = at::zeros({2}, at::kLong),
                         .node = "relu3",
                         .position = Position{.y = 4, .x = 0}};
    EXPECT_THROW(run(images, outside), ShapeError) << method.name;
    try {
      run(images, same_target(2, 0, "relu33"));
      ADD_FAILURE() << method.name;
    } catch (const LookupError& error) {
      EXPECT_NE((error.what() + error.hint()).find("relu3"), std::string::npos) << method.name;
      EXPECT_NE(error.hint().find("relu3"), std::string::npos) << error.hint();
    }
  }
}

TEST(EveryAttribution, StopsWhenTheObserverThrows) {
  const auto network = trained(small_network());
  const at::Tensor images = random({2, 3, 9, 11});
  int64_t calls = 0;
  const auto count = [&](int64_t done, int64_t total) {
    EXPECT_LE(done, total);
    if (++calls == 2) throw std::runtime_error("stop");
  };
  for (const Method& method : methods(count)) {
    calls = 0;
    if (method.name == "integrated_gradients" || method.name == "smooth_grad" ||
        method.name == "occlusion") {
      EXPECT_THROW(method.run(*network, images, classes({0, 1})), std::runtime_error)
          << method.name;
      EXPECT_EQ(calls, 2) << method.name;
    }
  }
}

TEST(GradCam, RefusesALayerThatIsNoMapOrNotOnTheWay) {
  const auto network = trained(small_network());
  const at::Tensor images = random({2, 3, 9, 11});
  try {
    grad_cam(*network, images, classes({0, 1}), "fc");
    ADD_FAILURE();
  } catch (const ShapeError& error) {
    EXPECT_NE(std::string(error.what()).find("[fc]"), std::string::npos) << error.what();
    EXPECT_NE(error.hint().find("maps"), std::string::npos) << error.hint();
  }
  EXPECT_THROW(grad_cam(*network, images, classes({0, 1}), "map"), LookupError);
  EXPECT_THROW(grad_cam(*network, images, same_target(2, 0, "relu1"), "relu2"), LookupError);
  Graph flat("flat", {4, 1, 1});
  flat.set_output("logits",
                  Scope(flat).linear("fc", Scope(flat).flatten(flat.input()), {.out_features = 2}));
  EXPECT_THROW(default_layer(flat), LookupError);
}

TEST(GradCam, LooksAtTheLastMapBeforeThePoolingByDefault) {
  EXPECT_EQ(default_layer(small_network()), "maps");
  EXPECT_EQ(default_layer(build_model("resnet20")), "layer3.2.relu_1");
  EXPECT_EQ(default_layer(build_model("vgg16")), "features.29");
}

TEST(Occlusion, RefusesSquaresThatMissPixels) {
  const auto network = trained(small_network());
  const at::Tensor images = random({1, 3, 9, 11});
  for (const OcclusionOptions& options :
       {OcclusionOptions{.window = 0, .stride = 1}, OcclusionOptions{.window = 2, .stride = 0},
        OcclusionOptions{.window = 2, .stride = 1, .batch_size = 0},
        OcclusionOptions{.window = 2, .stride = 3}}) {
    EXPECT_THROW(occlusion(*network, images, classes({0}), options), std::invalid_argument)
        << options.window << " " << options.stride;
  }
}

TEST(EveryAttribution, RefusesOptionsThatMakeNoSense) {
  const auto network = trained(small_network());
  const at::Tensor images = random({2, 3, 9, 11});
  const Target target = classes({0, 4});
  EXPECT_THROW(smooth_grad(*network, images, target, {.samples = 0}), std::invalid_argument);
  EXPECT_THROW(smooth_grad(*network, images, target, {.noise = -0.1}), std::invalid_argument);
  EXPECT_THROW(smooth_grad(*network, images, target, {.noise = NAN}), std::invalid_argument);
  EXPECT_THROW(smooth_grad(*network, images, target, at::zeros({2, 3, 9, 11})), ShapeError);
  EXPECT_THROW(smooth_grad(*network, images, target, at::Tensor()), ShapeError);
  EXPECT_THROW(integrated_gradients(*network, images, target, {.steps = 0}), std::invalid_argument);
  EXPECT_THROW(integrated_gradients(*network, images, target, {.baseline = at::zeros({3, 9, 9})}),
               ShapeError);
}

TEST(EveryAttribution, OfNoImagesIsEmpty) {
  const auto network = trained(small_network());
  for (const Method& method : methods()) {
    const Target none{.channels = at::zeros({0}, at::kLong)};
    EXPECT_EQ(method.run(*network, at::zeros({0, 3, 9, 11}), none).size(0), 0) << method.name;
  }
}

}  // namespace
}  // namespace striate
