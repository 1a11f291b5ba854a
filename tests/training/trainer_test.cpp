#include "striate/training/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "striate/base/error.h"
#include "striate/runtime/network.h"
#include "striate/training/classification.h"
#include "striate/training/evaluate.h"
#include "striate/training/losses.h"
#include "training/checkpoint.h"
#include "training/stopped_run.h"
#include "training/tiny_data.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

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

  void expect_a_stopped_run_goes_on(const RunConfig& c) const {
    Trainer whole = Trainer::start(c, options("whole"));
    whole.train();

    // Stopped after 3, 10 and 19 steps, with other numbers of loader threads.
    int threads = 1;
    bool first = true;
    for (const int64_t steps : {3, 7, 9}) {
      Stopper stopper(steps);
      TrainerOptions o = options("stopped");
      o.stop = &stopper.stop;
      o.observer = &stopper;
      o.loader_threads = threads++;
      Trainer trainer = first ? Trainer::start(c, o) : Trainer::resume(o);
      first = false;
      EXPECT_THROW(trainer.train(), Interrupted);
    }
    Trainer last = Trainer::resume(options("stopped"));
    last.train();
    expect_equal_runs(folder_ / "whole", folder_ / "stopped");
  }

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

TEST_F(TrainerTest, AStoppedRunGoesOnBitForBit) {
  expect_a_stopped_run_goes_on(config());
}

TEST_F(TrainerTest, AStoppedRunGoesOnWithItsAverage) {
  RunConfig c = config();
  c.recipe.average_decay = 0.9;
  expect_a_stopped_run_goes_on(c);
}

TEST_F(TrainerTest, AStoppedRunGoesOnWithStatisticsMeasuredAnew) {
  RunConfig c = config();
  c.model = "resnet20";
  c.recipe.epochs = 2;
  c.recipe.batch_size = 10;
  c.recipe.statistics_images = 15;
  expect_a_stopped_run_goes_on(c);
}

TEST_F(TrainerTest, AStoppedRunGoesOnWithItsFrozenLayers) {
  RunConfig c = config();
  c.freeze_up_to = "conv2";
  expect_a_stopped_run_goes_on(c);
}

TEST_F(TrainerTest, AStoppedRunGoesOnBetweenStepsOfSeveralBatches) {
  RunConfig c = config();
  c.recipe.batch_size = 6;
  c.recipe.accumulate = 3;
  expect_a_stopped_run_goes_on(c);
}

// Without batch-norm and dropout, in whatever parts a step's images come.
TEST_F(TrainerTest, SeveralBatchesMakeTheStepOfOneLargeBatch) {
  RunConfig c = config();
  c.recipe.epochs = 2;
  c.recipe.batch_size = 32;
  c.recipe.optimizer = {.learning_rate = 0.05, .momentum = 0.9, .weight_decay = 1e-3};
  c.recipe.schedule = {.kind = ScheduleOptions::Kind::kCosine, .warmup_epochs = 0.5};
  c.recipe.clip_gradient_norm = 1;
  Trainer whole = Trainer::start(c, options("whole"));
  whole.train();
  c.recipe.batch_size = 8;
  c.recipe.accumulate = 4;
  Stopper observer(-1);
  TrainerOptions o = options("parts");
  o.observer = &observer;
  Trainer parts = Trainer::start(c, o);
  parts.train();

  constexpr double kRounding = 1e-5;
  for (const auto& [key, tensor] : network_of(whole).tensors()) {
    EXPECT_LT((network_of(parts).tensor(key) - tensor).abs().max().item<double>(), kRounding)
        << key;
  }
  const auto a = read_metrics(folder_ / "whole" / "metrics.jsonl");
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_NEAR(observer.epochs[i].train_loss, a[i].train_loss, kRounding);
    EXPECT_EQ(observer.epochs[i].learning_rate, a[i].learning_rate);
    EXPECT_EQ(observer.epochs[i].train_accuracy, a[i].train_accuracy);
  }
}

// What is recomputed is no part of the run: one can be gone on with in less memory.
TEST_F(TrainerTest, RecomputedStagesChangeNoBitOfARun) {
  RunConfig c = config();
  c.model = "resnet20";
  c.limit = 60;
  c.recipe.epochs = 1;
  c.recipe.batch_size = 10;
  c.recipe.validation_size = 10;
  Trainer::start(c, options("kept")).train();
  TrainerOptions o = options("recomputed");
  o.checkpoint_stages = {"layer1", "layer2.0"};
  Trainer::start(c, o).train();
  EXPECT_EQ(read_file(folder_ / "kept" / "last.safetensors"),
            read_file(folder_ / "recomputed" / "last.safetensors"));
  o = options("wrong");
  o.checkpoint_stages = {"layer9"};
  EXPECT_THROW(Trainer::start(c, o), LookupError);
}

TEST_F(TrainerTest, AStepOfMoreBatchesThanThereAreIsRefused) {
  RunConfig c = config();
  c.recipe.accumulate = 9;  // of 20; there are 160 images
  try {
    Trainer::start(c, options("run"));
    FAIL() << "went on";
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("needs 180 training images, there are 160"),
              std::string::npos)
        << error.what();
  }
}

// Which blocks are there comes from the generator that the checkpoint saves.
TEST_F(TrainerTest, AStoppedRunGoesOnWithTheSameDepths) {
  RunConfig c = config();
  c.model = "resnet20";
  c.final_survival = 0.5;
  c.recipe.epochs = 1;
  c.recipe.batch_size = 8;
  expect_a_stopped_run_goes_on(c);
}

// What is kept is the average; the checkpoint has both.
TEST_F(TrainerTest, TheAverageIsWhatIsMeasuredAndKept) {
  RunConfig c = config();
  c.recipe.epochs = 2;
  c.recipe.average_decay = 0.9;
  Trainer trainer = Trainer::start(c, options("run"));
  trainer.train();
  const RunFolder run{folder_ / "run"};
  const Weights kept = read_weights(run.last());
  const Weights saved = read_weights(run.checkpoint());
  for (const auto& [key, tensor] : kept.tensors) {
    EXPECT_TRUE(tensor.equal(saved.tensors.at("average/" + key))) << key;
    EXPECT_FALSE(tensor.equal(saved.tensors.at("weights/" + key))) << key;
    EXPECT_TRUE(network_of(trainer).tensor(key).equal(saved.tensors.at("weights/" + key))) << key;
  }

  load_weights(network_of(trainer), kept);
  const std::shared_ptr<const Dataset> all = open_dataset(c.data, Split::kTrain);
  const auto validation = subset(all, hold_out(200, 40, 0).validation);
  Loader loader(*validation, c.recipe.eval_transforms, {.batch_size = 40});
  EXPECT_NEAR(predict(network_of(trainer), loader).loss,
              read_metrics(run.metrics()).back().validation_loss, 1e-6);
}

// Weights and running statistics up to the layer stay as they were, to the bit.
TEST_F(TrainerTest, FrozenLayersStayAsTheyWere) {
  RunConfig c = config();
  c.model = "resnet20";
  c.limit = 60;
  c.recipe.epochs = 1;
  c.recipe.validation_size = 20;
  c.recipe.average_decay = 0.9;
  c.freeze_up_to = "layer1.0.bn2";
  Trainer trainer = Trainer::start(c, options("run"));
  std::map<std::string, at::Tensor> before;
  for (const auto& [key, tensor] : network_of(trainer).tensors())
    before[key] = tensor.detach().clone();
  trainer.train();
  const Weights kept = read_weights(RunFolder{folder_ / "run"}.last());
  int frozen = 0;
  for (const auto& [key, tensor] : before) {
    const bool is_frozen =
        key.starts_with("conv1.") || key.starts_with("bn1.") || key.starts_with("layer1.0.");
    frozen += is_frozen ? 1 : 0;
    EXPECT_EQ(network_of(trainer).tensor(key).equal(tensor), is_frozen) << key;
    EXPECT_EQ(kept.tensors.at(key).equal(tensor), is_frozen) << key;
  }
  EXPECT_EQ(frozen, 3 * 6);  // a convolution's weight and a batch-norm's five
}

TEST_F(TrainerTest, ANetworkThatIsAllFrozenIsRefused) {
  RunConfig c = config();
  c.freeze_up_to = "fc3";
  EXPECT_THROW(Trainer::start(c, options("run")), std::invalid_argument);
  c.freeze_up_to = "conv3";
  EXPECT_THROW(Trainer::start(c, options("run")), LookupError);
}

// szegedy2015, 5: what the heads are for. The first is on top of inception4a.
TEST_F(TrainerTest, AuxiliaryHeadsBringGradientToTheLayersBelowThem) {
  RunConfig c = config();
  c.model = "googlenet";
  EXPECT_EQ(training_graph(c).outputs().size(), 1U);
  c.recipe.loss.auxiliary_weight = 0.3;
  Network network(training_graph(c), 1);
  at::manual_seed(3);
  const NamedValues outputs = network.forward(at::randn({8, 1, 32, 32}), ForwardOptions{});
  const at::Tensor labels = at::arange(8, at::kLong).remainder(4);
  losses::cross_entropy(outputs.at("aux1"), labels).backward();
  for (const char* key : {"conv1.conv.weight", "inception4a.branch1.conv.weight"}) {
    EXPECT_GT(network.tensor(key).grad().norm().item<double>(), 0) << key;
  }
  for (const char* key : {"inception4b.branch1.conv.weight", "fc.weight"}) {
    EXPECT_FALSE(network.tensor(key).grad().defined()) << key;
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
    network_of(trainer).tensor("fc3.weight").mul_(1e4);
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
  Optimizer optimizer(network.tensors(), {});
  Schedule schedule({}, 1, 1);
  const CheckpointParts parts{network.tensors(), optimizer, schedule};
  const fs::path path = fs::path(testing::TempDir()) / "striate_checkpoint.safetensors";
  at::manual_seed(5);
  save_checkpoint(path, parts, {.epoch = 3, .step = 4, .loss_sum = 0.1, .best_score = 0.5});
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
