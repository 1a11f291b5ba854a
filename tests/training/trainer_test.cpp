#include "striate/training/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "striate/base/error.h"
#include "striate/models/models.h"
#include "striate/runtime/network.h"
#include "training/checkpoint.h"
#include "training/tiny_data.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

// Stops after so many steps, as a user would.
class Stopper final : public TrainingObserver {
 public:
  explicit Stopper(int64_t steps) : steps_left_(steps) {}
  void on_step(const StepProgress&) override {
    if (--steps_left_ == 0) stop = true;
  }
  void on_epoch(const EpochMetrics& metrics) override { epochs.push_back(metrics); }

  std::atomic<bool> stop{false};
  std::vector<EpochMetrics> epochs;

 private:
  int64_t steps_left_;
};

class TrainerTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              (std::string("striate_trainer_") +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    write_tiny_data(folder_ / "data", 200, 40, 4);
  }
  void TearDown() override { fs::remove_all(folder_); }

  RunConfig config() const {
    RunConfig config{
        .model = "lenet5",
        .input = {1, 32, 32},
        .class_names =
            open_dataset("idx:" + (folder_ / "data").string(), Split::kTrain)->class_names(),
        .data = "idx:" + (folder_ / "data").string(),
        .recipe = named_recipe("lenet5")};
    config.recipe.epochs = 3;
    config.recipe.batch_size = 20;
    config.recipe.validation_size = 40;
    const Preprocessing plain(
        {transforms::CenterCrop{.size = 32}, transforms::Normalize{.mean = {0.3}, .std = {0.3}}});
    config.recipe.eval_transforms = plain;
    config.recipe.train_transforms = Preprocessing(
        {transforms::CenterCrop{.size = 32}, transforms::RandomCrop{.size = 32, .padding = 2},
         transforms::Normalize{.mean = {0.3}, .std = {0.3}}});
    return config;
  }

  TrainerOptions options(const std::string& run) const { return {.run = folder_ / run}; }

  fs::path folder_;
};

TEST_F(TrainerTest, LearnsWhatCanBeLearnt) {
  RunConfig c = config();
  c.recipe.epochs = 8;
  Trainer trainer = Trainer::start(c, options("run"));
  trainer.train();
  const std::vector<EpochMetrics> metrics = read_metrics(RunFolder{folder_ / "run"}.metrics());
  ASSERT_EQ(metrics.size(), 8U);
  EXPECT_LT(metrics.back().train_loss, 0.3 * metrics.front().train_loss);
  EXPECT_GT(metrics.back().validation_accuracy, 0.95);
}

// Whole images of the training set again and again: any network that trains can learn them by
// heart.
TEST_F(TrainerTest, EveryFamilyOverfitsABatch) {
  for (const char* model : {"lenet5", "lenet5@paper", "resnet20", "plain20"}) {
    RunConfig c = config();
    c.model = model;
    c.limit = 20;
    c.recipe.epochs = 80;
    c.recipe.batch_size = 20;
    c.recipe.validation_size = 0;
    c.recipe.loss = named_recipe(find_model(model).recipe).loss;
    c.recipe.train_transforms = c.recipe.eval_transforms;
    c.recipe.optimizer = {.kind = OptimizerOptions::Kind::kAdam, .learning_rate = 0.003};
    c.recipe.schedule = {};
    Trainer trainer = Trainer::start(c, options(std::string("run-") + model));
    trainer.train();
    const auto metrics = read_metrics(RunFolder{folder_ / (std::string("run-") + model)}.metrics());
    EXPECT_EQ(metrics.back().train_accuracy, 1) << model;
    EXPECT_LT(metrics.back().train_loss, 0.2 * metrics.front().train_loss) << model;
  }
}

TEST_F(TrainerTest, AStoppedRunGoesOnBitForBit) {
  Trainer whole = Trainer::start(config(), options("whole"));
  whole.train();

  // Stopped in the first, in the second and in the last epoch, with other numbers of threads.
  int threads = 1;
  bool first = true;
  for (const int64_t steps : {3, 7, 9}) {
    Stopper stopper(steps);
    TrainerOptions o = options("stopped");
    o.stop = &stopper.stop;
    o.observer = &stopper;
    o.loader_threads = threads++;
    Trainer trainer = first ? Trainer::start(config(), o) : Trainer::resume(o);
    first = false;
    EXPECT_THROW(trainer.train(), Interrupted);
  }
  Trainer last = Trainer::resume(options("stopped"));
  last.train();
  for (const char* file : {"last.safetensors", "best.safetensors"}) {
    EXPECT_EQ(read_file(folder_ / "whole" / file), read_file(folder_ / "stopped" / file)) << file;
  }
  const auto a = read_metrics(folder_ / "whole" / "metrics.jsonl");
  const auto b = read_metrics(folder_ / "stopped" / "metrics.jsonl");
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].train_loss, b[i].train_loss);
    EXPECT_EQ(a[i].validation_accuracy, b[i].validation_accuracy);
  }
}

TEST_F(TrainerTest, AFinishedRunIsResumedByDoingNothing) {
  Trainer::start(config(), options("run")).train();
  const auto before = read_file(folder_ / "run" / "last.safetensors");
  Trainer::resume(options("run")).train();
  EXPECT_EQ(read_file(folder_ / "run" / "last.safetensors"), before);
}

TEST_F(TrainerTest, AFolderWithARunIsNotOverwritten) {
  Trainer::start(config(), options("run"));
  EXPECT_THROW(Trainer::start(config(), options("run")), IoError);
  EXPECT_THROW(Trainer::resume(options("elsewhere")), IoError);
}

TEST_F(TrainerTest, ALossThatIsNotFiniteStopsTheRunAndNamesTheLayer) {
  RunConfig c = config();
  c.recipe.optimizer = {.learning_rate = 1e30};
  c.recipe.schedule = {};
  Trainer trainer = Trainer::start(c, options("run"));
  try {
    trainer.train();
    FAIL() << "went on";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("the first value that is not finite is ["),
              std::string::npos)
        << error.what();
    EXPECT_NE(error.hint().find("learning rate"), std::string::npos);
  }
}

// One step, after which no loss is computed that could show the damage.
TEST_F(TrainerTest, WeightsThatAreNotFiniteAreNeverSaved) {
  RunConfig c = config();
  c.recipe.epochs = 1;
  c.recipe.batch_size = 160;
  c.recipe.optimizer = {.learning_rate = 1e38, .momentum = 0};
  c.recipe.schedule = {};
  Trainer trainer = Trainer::start(c, options("run"));
  {
    at::NoGradGuard no_grad;
    trainer.network().tensor("fc3.weight").mul_(1e4);
  }
  EXPECT_THROW(trainer.train(), Error);
  EXPECT_FALSE(fs::exists(folder_ / "run" / "best.safetensors"));
  const Weights saved = read_weights(RunFolder{folder_ / "run"}.checkpoint());
  for (const auto& [key, tensor] : saved.tensors) {
    EXPECT_TRUE(at::isfinite(tensor.to(at::kDouble)).all().item<bool>()) << key;
  }
}

TEST_F(TrainerTest, DataWithOtherClassesIsNotGoneOnWith) {
  RunConfig c = config();
  c.class_names = {"0", "1", "2"};
  EXPECT_THROW(Trainer::start(c, options("run")), FormatError);
}

TEST_F(TrainerTest, StopsEarlyWhenNothingGetsBetter) {
  RunConfig c = config();
  c.recipe.epochs = 30;
  c.recipe.early_stop_epochs = 2;
  c.recipe.optimizer = {.learning_rate = 1e-12};
  c.recipe.schedule = {};
  Trainer::start(c, options("run")).train();
  EXPECT_EQ(read_metrics(folder_ / "run" / "metrics.jsonl").size(), 3U);
}

TEST_F(TrainerTest, TheBestEpochIsKept) {
  Stopper observer(-1);
  TrainerOptions o = options("run");
  o.observer = &observer;
  Trainer trainer = Trainer::start(config(), o);
  trainer.train();
  size_t best = 0;
  for (size_t i = 1; i < observer.epochs.size(); ++i) {
    if (observer.epochs[i].validation_accuracy > observer.epochs[best].validation_accuracy)
      best = i;
  }
  const Weights weights = read_weights(folder_ / "run" / "best.safetensors");
  EXPECT_EQ(weights.metadata.at("striate.epoch"), std::to_string(observer.epochs[best].epoch));
}

TEST_F(TrainerTest, WeightsSayEverythingThatTheirUseNeeds) {
  Trainer::start(config(), options("run")).train();
  const Weights weights = read_weights(folder_ / "run" / "last.safetensors");
  const WeightsCard card = card_from_metadata(weights.metadata, "file");
  EXPECT_EQ(card.model, "lenet5");
  EXPECT_EQ(card.input, (Shape{1, 32, 32}));
  EXPECT_EQ(card.class_names, config().class_names);
  EXPECT_EQ(card.preprocessing.to_json(), config().recipe.eval_transforms.to_json());
}

TEST(Checkpoint, RestoresTheRandomGenerator) {
  Graph graph("net", {8});
  graph.set_output("y", Scope(graph).linear("fc", graph.input(), {.out_features = 2}));
  Network network(graph, 1);
  Optimizer optimizer(network, {});
  Schedule schedule({}, 1, 1);
  const CheckpointParts parts{network, optimizer, schedule};
  const fs::path path = fs::path(testing::TempDir()) / "striate_checkpoint.safetensors";
  at::manual_seed(5);
  save_checkpoint(path, parts, {.epoch = 3, .step = 4, .loss_sum = 0.1, .best_accuracy = 0.5});
  const at::Tensor drawn = at::rand({10});
  at::manual_seed(6);
  const Position position = load_checkpoint(path, parts);
  EXPECT_TRUE(at::rand({10}).equal(drawn));
  EXPECT_EQ(position.epoch, 3);
  EXPECT_EQ(position.step, 4);
  EXPECT_EQ(position.loss_sum, 0.1);
  fs::remove(path);
}

}  // namespace
}  // namespace striate
