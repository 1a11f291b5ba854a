// Networks learn a dozen images by heart.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "models/networks.h"
#include "striate/models/models.h"
#include "striate/runtime/network.h"
#include "striate/training/classification.h"
#include "striate/training/losses.h"
#include "striate/training/optimizer.h"
#include "striate/training/schedule.h"
#include "striate/training/trainer.h"
#include "training/tiny_data.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kImages = 12;
constexpr int64_t kClasses = 4;
constexpr int64_t kSteps = 60;  // running statistics need so many to settle
constexpr double kLearningRate = 0.001;

struct Images {
  at::Tensor values;
  at::Tensor labels = at::arange(kImages, at::kLong).remainder(kClasses);
};

// A bar whose place is the class, in noise.
Images made_images(const Shape& shape) {
  at::manual_seed(1);
  Images images{.values = at::randn({kImages, shape[0], shape[1], shape[2]})};
  const int64_t bar = shape[1] / kClasses;
  for (int64_t i = 0; i < kImages; ++i) {
    const int64_t label = i % kClasses;
    images.values[i].slice(1, bar * label, bar * (label + 1)) += 2;
  }
  return images;
}

RunConfig config(const std::string& model) {
  return {.model = model,
          .input = {1, 32, 32},
          .class_names = {"0", "1", "2", "3"},
          .recipe = named_recipe(find_model(model).recipe)};
}

struct Training {
  int64_t steps;
  double learning_rate;
  double enough;  // of the first loss
};

// The training losses of so many steps with Adam, or of fewer when one is low enough.
std::vector<double> train(Network& network, const RunConfig& config, const Images& images,
                          const Training& training) {
  Optimizer optimizer(network.tensors(), {.kind = OptimizerOptions::Kind::kAdam});
  const Schedule schedule({.kind = ScheduleOptions::Kind::kCosine, .milestones = {}},
                          training.steps, 1);
  std::vector<double> losses;
  for (int64_t step = 0; step < training.steps; ++step) {
    const NamedValues outputs = network.forward(images.values, ForwardOptions{});
    const at::Tensor loss = losses::compute(config.recipe.loss, outputs, images.labels);
    losses.push_back(loss.item<double>());
    if (losses.back() < training.enough * losses.front()) break;
    optimizer.zero_gradients();
    loss.backward();
    optimizer.step(training.learning_rate * schedule.factor(step));
  }
  return losses;
}

// Trains, and looks at the same images in evaluation mode.
void expect_learnt_by_heart(const RunConfig& config, int64_t steps) {
  const Images images = made_images(config.input);
  Network network(training_graph(config), config.seed);
  const std::vector<double> losses =
      train(network, config, images, {.steps = steps, .learning_rate = kLearningRate, .enough = 0});
  EXPECT_LT(losses.back(), 0.5 * losses.front());
  at::NoGradGuard no_grad;
  network.eval();
  const at::Tensor right = network.forward(images.values).argmax(1).eq(images.labels);
  EXPECT_EQ(right.sum().item<int64_t>(), kImages);
}

// One small network of each family.
const std::vector<std::string> kUsual = {"lenet5",    "lenet5@paper",  "nin_cifar",
                                         "googlenet", "resnet20",      "plain20",
                                         "wrn_16_4",  "densenet40_12", "squeezenet1_1"};

class OverfitTest : public testing::TestWithParam<std::string> {};

TEST_P(OverfitTest, LearnsABatchByHeart) {
  expect_learnt_by_heart(config(GetParam()), kSteps);
}

INSTANTIATE_TEST_SUITE_P(Registry, OverfitTest, testing::ValuesIn(kUsual), test_name);

// With steps of the usual size all scores of nin die behind its last ReLU, and the deepest networks
// without shortcuts jump about.
double learning_rate(const std::string& model) {
  const bool careful = model == "nin" || model == "vgg19_bn" || model == "plain110";
  return careful ? 0.2 * kLearningRate : kLearningRate;
}

class DeeperOverfitTest : public testing::TestWithParam<std::string> {};

TEST_P(DeeperOverfitTest, LearnsABatch) {
  RunConfig c = config(GetParam());
  c.input = small_input(find_model(c.model));
  if (c.model == "googlenet@paper") c.input = {3, 96, 96};  // its heads need more
  const Images images = made_images(c.input);
  Network network(training_graph(c), c.seed);
  const std::vector<double> losses =
      train(network, c, images,
            {.steps = 3 * kSteps, .learning_rate = learning_rate(c.model), .enough = 0.2});
  // he2016, Fig. 1: a hundred layers without shortcuts hardly begin to learn.
  const double enough = c.model == "plain110" ? 0.8 : 0.2;
  EXPECT_LT(losses.back(), enough * losses.front()) << "after " << losses.size() << " steps";
}

INSTANTIATE_TEST_SUITE_P(Deeper, DeeperOverfitTest, testing::ValuesIn(all_but(kUsual)), test_name);

// huang2016: in most steps whole blocks are missing, and in evaluation none.
TEST(Overfit, StochasticDepthLearnsABatchByHeart) {
  RunConfig c = config("resnet20");
  c.final_survival = 0.5;
  expect_learnt_by_heart(c, 2 * kSteps);
}

// The heads are trained and written, and the network without them takes the file.
TEST(Overfit, ATrainerTrainsTheHeadsThatTheRecipeAsksFor) {
  const fs::path folder = fs::path(testing::TempDir()) / "striate_heads";
  fs::remove_all(folder);
  write_tiny_data(folder / "data", kImages, kClasses, kClasses);
  RunConfig c = config("googlenet");
  c.data = "idx:" + (folder / "data").string();
  c.class_names = open_dataset(c.data, Split::kTrain)->class_names();
  c.recipe.epochs = 1;
  const Preprocessing plain(
      {transforms::CenterCrop{.size = 32}, transforms::Normalize{.mean = {0.3}, .std = {0.3}}});
  c.recipe.train_transforms = plain;
  c.recipe.eval_transforms = plain;
  Trainer trainer = Trainer::start(c, {.run = folder / "run"});
  const at::Tensor before = network_of(trainer).tensor("aux1.fc2.weight").detach().clone();
  trainer.train();
  EXPECT_FALSE(network_of(trainer).tensor("aux1.fc2.weight").equal(before));
  const Weights kept = read_weights(RunFolder{folder / "run"}.best());
  EXPECT_TRUE(kept.tensors.contains("aux2.conv.bn.running_mean"));
  const int64_t classes = static_cast<int64_t>(c.class_names.size());
  EXPECT_NO_THROW(
      check_weights(build_model("googlenet", {.input = c.input, .classes = classes}), kept));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace striate
