// Images that a network would like to see, and what layers answer.
#include "striate/visualization/ascent.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <numeric>
#include <span>

#include "striate/base/error.h"
#include "striate/models/models.h"
#include "striate/visualization/activations.h"
#include "striate/visualization/kernels.h"
#include "striate/visualization/picture.h"

namespace striate {
namespace {

constexpr int64_t kImages = 64;

Network colour_network() {
  return Network(build_model("resnet20", {.input = {3, 32, 32}, .classes = 10}), /*seed=*/3);
}

const PixelScale kScale{.mean = {0.5}, .std = {0.25}};

at::Tensor random_pixels(int64_t count) {
  at::manual_seed(5);
  return round_to_grey_levels(at::rand({count, 3, 32, 32}));
}

// Grey images of three classes: a bright bar above, in the middle or below, on noise.
at::Tensor bars(const at::Tensor& classes) {
  const at::Tensor pixels = at::rand({classes.size(0), 1, 32, 32}) * 0.4;
  for (int64_t i = 0; i < classes.size(0); ++i) {
    const int64_t top = 3 + 9 * classes[i].item<int64_t>();
    pixels[i].slice(1, top, top + 7).slice(2, 4, 28).add_(0.6);
  }
  return round_to_grey_levels(pixels);
}

// LeNet-5 that tells them apart.
Network& trained_network() {
  static Network network(build_model("lenet5", {.input = {1, 32, 32}, .classes = 3}), /*seed=*/1);
  static bool trained = false;
  if (trained) return network;
  trained = true;
  at::manual_seed(1);
  for (int step = 0; step < 80; ++step) {
    const at::Tensor classes = at::randint(3, {32}, at::kLong);
    const at::Tensor loss =
        at::cross_entropy_loss(network.forward(normalize_pixels(bars(classes), kScale)), classes);
    std::vector<at::Tensor> parameters = network.parameters();
    const auto gradients = torch::autograd::grad({loss}, parameters);
    at::NoGradGuard no_grad;
    for (size_t i = 0; i < parameters.size(); ++i) parameters[i].sub_(gradients[i], 0.05);
  }
  network.eval();
  return network;
}

at::Tensor classes_seen(Network& network, const at::Tensor& pixels) {
  at::NoGradGuard no_grad;
  return network.forward(normalize_pixels(pixels, kScale)).argmax(1);
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The largest score of a class among images of all classes.
double best_of_images(Network& network, int64_t channel) {
  at::NoGradGuard no_grad;
  const at::Tensor images = bars(at::arange(kImages).remainder(3));
  return network.forward(normalize_pixels(images, kScale)).select(1, channel).max().item<double>();
}

void expect_climbed(const Ascent& ascent, double best_image) {
  const std::span<const double> scores = ascent.scores;
  const size_t part = scores.size() / 4;
  // On average; once at its top it stays there.
  const double rise = mean(scores.subspan(3 * part)) - mean(scores.first(part));
  EXPECT_GT(rise, 0);
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_GT(mean(scores.subspan(i * part, part)),
              mean(scores.subspan((i - 1) * part, part)) - 0.01 * rise);
  }
  EXPECT_GT(mean(scores.subspan(3 * part)), best_image);
  EXPECT_GE(ascent.pixels.min().item<double>(), 0);
  EXPECT_LE(ascent.pixels.max().item<double>(), 1);
}

TEST(Ascent, InFourierSpaceClimbsAboveEveryImage) {
  Network& network = trained_network();
  expect_climbed(ascend_fourier(network, kScale, {.channel = 2}), best_of_images(network, 2));
}

TEST(Ascent, OnPixelsClimbsAboveEveryImage) {
  Network& network = trained_network();
  expect_climbed(ascend_pixels(network, kScale, {.channel = 2}), best_of_images(network, 2));
}

TEST(Ascent, RepeatsItselfForASeed) {
  const Network network = colour_network();
  const Unit unit{.channel = 2, .node = "layer2.0.relu", .position = Position{3, 4}};
  const FourierAscentOptions options{.steps = 4, .seed = 9};
  const at::Tensor once = ascend_fourier(network, kScale, unit, options).pixels;
  EXPECT_TRUE(once.equal(ascend_fourier(network, kScale, unit, options).pixels));
  EXPECT_FALSE(once.equal(ascend_fourier(network, kScale, unit, {.steps = 4, .seed = 10}).pixels));
}

TEST(Ascent, UnitsThatAreNotThereAreErrors) {
  const Network network = colour_network();
  EXPECT_THROW(ascend_fourier(network, kScale, {.channel = 10}), ShapeError);
  EXPECT_THROW(ascend_pixels(network, kScale, {.node = "layer9"}), LookupError);
  const Unit outside{.node = "layer3.0.relu", .position = Position{8, 0}};
  EXPECT_THROW(ascend_pixels(network, kScale, outside), ShapeError);
  EXPECT_THROW(ascend_fourier(network, kScale, {}, {.steps = 0}), std::invalid_argument);
}

TEST(Dream, RaisesANodeOfAPhotoOfAnotherSize) {
  const Network network = colour_network();
  at::manual_seed(1);
  const at::Tensor photo = at::rand({3, 41, 57});
  const at::Tensor dream =
      deep_dream(network, kScale, photo, "layer1.0.relu", {.octaves = 2, .steps = 4, .jitter = 2});
  ASSERT_EQ(dream.sizes(), photo.sizes());
  const Network at_size(build_model("resnet20", {.input = {3, 32, 32}, .classes = 10}), 3);
  const NodeValues values(at_size, "layer1.0.relu");
  const auto energy = [&](const at::Tensor& pixels) {
    const at::Tensor part = pixels.slice(1, 0, 32).slice(2, 0, 32).unsqueeze(0);
    return values(normalize_pixels(part, kScale)).square().mean().item<double>();
  };
  EXPECT_GT(energy(dream), 1.2 * energy(photo));
}

TEST(Inversion, ComesNearTheValuesOfAnEarlyNode) {
  const Network network = colour_network();
  const at::Tensor pixels = random_pixels(1)[0] * 0.5 + 0.25;
  const Inversion few = invert(network, kScale, pixels, "relu", {.steps = 2});
  const Inversion many = invert(network, kScale, pixels, "relu", {.steps = 150});
  EXPECT_LT(many.error, 0.1 * few.error);
}

TEST(Fooling, StaysWithinItsBudgetInWholeGreyLevelsAndIsSeenOtherwise) {
  Network& network = trained_network();
  const at::Tensor classes = at::arange(9).remainder(3);
  const at::Tensor pixels = bars(classes);
  ASSERT_TRUE(classes_seen(network, pixels).equal(classes));
  const FoolingOptions options{.grey_levels = 70, .steps = 20};
  const Fooling result = fool(network, kScale, pixels, classes, options);
  const at::Tensor change = (result.pixels - pixels) * 255;
  EXPECT_LE(change.abs().max().item<double>(), 70.001);
  EXPECT_LT((change - change.round()).abs().max().item<double>(), 1e-3);
  EXPECT_TRUE(classes_seen(network, result.pixels).equal(result.predictions));
  EXPECT_TRUE(result.predictions.ne(classes).all().item<bool>());

  const at::Tensor wanted = (classes + 1).remainder(3);
  const Fooling targeted =
      fool(network, kScale, pixels, wanted, {.grey_levels = 90, .steps = 30, .targeted = true});
  EXPECT_TRUE(targeted.predictions.equal(wanted));
  EXPECT_THROW(fool(network, kScale, pixels, wanted, {.grey_levels = 0}), std::invalid_argument);
}

TEST(Activations, OfANodeAreThoseThatTheNetworkComputes) {
  Network network = colour_network();
  network.eval();
  at::NoGradGuard no_grad;
  const at::Tensor images = normalize_pixels(random_pixels(3), kScale);
  for (const std::string node : {"conv1", "layer2.1.bn2", "layer3.0.relu_1", "avgpool"}) {
    const at::Tensor tapped = network.forward(images, {.taps = {node}}).at(node);
    const at::Tensor alone = NodeValues(network, node)(images);
    EXPECT_LT((alone - tapped).norm().item<double>(), 1e-5 * tapped.norm().item<double>()) << node;
  }
}

TEST(Activations, StrongestChannelsComeFirstAndTiesByNumber) {
  const at::Tensor map = at::zeros({4, 2, 2});
  map[2].fill_(3);
  map[1][0][0] = 4;
  EXPECT_EQ(strongest_channels(map, 3), (std::vector<int64_t>{2, 1, 0}));
}

TEST(TopResponses, KeepTheStrongestImagesOfAllBatchesAndWhere) {
  TopResponses top(2, 2);
  at::Tensor values = at::zeros({3, 2, 2, 3});
  values[1][0][1][2] = 5;
  values[2][0][0][1] = 4;
  top.add(values, 0);
  at::Tensor later = at::zeros({1, 2, 2, 3});
  later[0][0][1][0] = 4.5;
  top.add(later, 3);
  ASSERT_EQ(top.of(0).size(), 2U);
  EXPECT_EQ(top.of(0)[0].image, 1);
  EXPECT_EQ(top.of(0)[0].y, 1);
  EXPECT_EQ(top.of(0)[0].x, 2);
  EXPECT_EQ(top.of(0)[1].image, 3);
  EXPECT_EQ(top.of(1)[1].image, 1);  // ties by number
  EXPECT_THROW(top.add(at::zeros({1, 3}), 4), ShapeError);
}

TEST(Pictures, OfNumbersHaveTheColoursThatTheyStandFor) {
  const at::Tensor map = at::tensor({-2.0, 0.0, 1.0, 2.0}, at::kFloat).view({2, 2});
  const Image signs = diverging_picture(map);
  EXPECT_GT(signs.row(0)[2], signs.row(0)[0]);  // blue below zero
  EXPECT_EQ(signs.row(0)[3], 247);              // white at zero
  EXPECT_GT(signs.row(1)[3], signs.row(1)[5]);  // red above
  const Image heat = heat_picture(map);
  EXPECT_LT(heat.row(0)[1], 10);   // dark violet at the least
  EXPECT_GT(heat.row(1)[4], 200);  // yellow at the largest
  EXPECT_EQ(heat_overlay(map).channels, 4);
  EXPECT_EQ(signed_picture(at::zeros({3, 2, 2})).pixels[0], 128);
  EXPECT_NO_THROW(heat_picture(at::full({2, 2}, std::nanf(""))));
  EXPECT_THROW(heat_picture(at::zeros({2, 2, 2})), ShapeError);
  EXPECT_THROW(pixel_picture(at::zeros({2, 4, 4})), ShapeError);
}

TEST(Pictures, OfAGridStandWhereTheyBelong) {
  Image black = make_image(2, 2, 3);
  Image grey = black;
  std::ranges::fill(grey.pixels, uint8_t{90});
  const Image grid = picture_grid({black, grey, black}, {.columns = 2, .enlarge = 2, .gap = 1});
  EXPECT_EQ(grid.width, 11);
  EXPECT_EQ(grid.height, 11);
  EXPECT_EQ(grid.row(0)[0], 255);
  EXPECT_EQ(grid.row(1)[3], 0);
  EXPECT_EQ(grid.row(1)[3 * 6], 90);
  EXPECT_EQ(grid.row(6)[3 * 6], 255);  // no fourth picture
  EXPECT_THROW(picture_grid({}), std::invalid_argument);
  EXPECT_THROW(picture_grid({black, make_image(2, 2, 1)}), std::invalid_argument);
}

TEST(Kernels, OfAnyConvolutionAreShownAndTheirStatisticsCounted) {
  const Network network = colour_network();
  EXPECT_EQ(kernel_picture(network.tensor("conv1.weight")).channels, 3);
  EXPECT_GT(kernel_picture(network.tensor("layer1.0.conv1.weight")).width, 100);
  EXPECT_THROW(kernel_picture(at::zeros({3, 3})), ShapeError);
  const TensorStatistics s = tensor_statistics("w", at::tensor({-1.0, 0.0, 0.0, 3.0}));
  EXPECT_DOUBLE_EQ(s.mean, 0.5);
  EXPECT_DOUBLE_EQ(s.zeros, 0.5);
  EXPECT_DOUBLE_EQ(s.minimum, -1);
  EXPECT_DOUBLE_EQ(s.maximum, 3);
  EXPECT_EQ(std::accumulate(s.histogram.begin(), s.histogram.end(), int64_t{0}), 4);
}

}  // namespace
}  // namespace striate
