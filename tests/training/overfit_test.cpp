// One small network of each family learns a dozen images by heart.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "striate/models/models.h"
#include "striate/runtime/network.h"
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
  at::Tensor values = at::empty({});
  at::Tensor labels = at::arange(kImages, at::kLong).remainder(kClasses);
};

// A bar whose place is the class, in noise.
Images made_images() {
  at::manual_seed(1);
  Images images{.values = at::randn({kImages, 1, 32, 32})};
  for (int64_t i = 0; i < kImages; ++i) {
    const int64_t label = i % kClasses;
    images.values[i].slice(1, 8 * label, 8 * label + 8) += 2;
  }
  return images;
}

RunConfig config(const std::string& model) {
  return {.model = model,
          .input = {1, 32, 32},
          .class_names = {"0", "1", "2", "3"},
          .recipe = named_recipe(find_model(model).recipe)};
}

// Trains, and looks at the same images in evaluation mode.
void expect_learnt_by_heart(const RunConfig& config, int64_t steps) {
  const Images images = made_images();
  Network network(training_graph(config), config.seed);
  Optimizer optimizer(network, {.kind = OptimizerOptions::Kind::kAdam});
  const Schedule schedule({.kind = ScheduleOptions::Kind::kCosine, .milestones = {}}, steps, 1);
  double first_loss = 0;
  double last_loss = 0;
  for (int64_t step = 0; step < steps; ++step) {
    const NamedValues outputs = network.forward(images.values, ForwardOptions{});
    const at::Tensor loss = losses::compute(config.recipe.loss, outputs, images.labels);
    optimizer.zero_gradients();
    loss.backward();
    optimizer.step(kLearningRate * schedule.factor(step));
    last_loss = loss.item<double>();
    if (step == 0) first_loss = last_loss;
  }
  EXPECT_LT(last_loss, 0.5 * first_loss);
  at::NoGradGuard no_grad;
  network.eval();
  const at::Tensor right = network.forward(images.values).argmax(1).eq(images.labels);
  EXPECT_EQ(right.sum().item<int64_t>(), kImages);
}

class OverfitTest : public testing::TestWithParam<std::string> {};

TEST_P(OverfitTest, LearnsABatchByHeart) {
  expect_learnt_by_heart(config(GetParam()), kSteps);
}

INSTANTIATE_TEST_SUITE_P(Networks, OverfitTest,
                         testing::Values("lenet5", "lenet5@paper", "nin_cifar", "googlenet",
                                         "resnet20", "plain20", "wrn_16_4", "densenet40_12",
                                         "squeezenet1_1"));

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
  const at::Tensor before = trainer.network().tensor("aux1.fc2.weight").detach().clone();
  trainer.train();
  EXPECT_FALSE(trainer.network().tensor("aux1.fc2.weight").equal(before));
  const Weights kept = read_weights(RunFolder{folder / "run"}.best());
  EXPECT_TRUE(kept.tensors.contains("aux2.conv.bn.running_mean"));
  const int64_t classes = static_cast<int64_t>(c.class_names.size());
  EXPECT_NO_THROW(
      check_weights(build_model("googlenet", {.input = c.input, .classes = classes}), kept));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace striate
