#include "striate/sequence/language_task.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/training/losses.h"
#include "striate/training/trainer.h"
#include "training/stopped_run.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr double kRounding = 1e-6;  // float32

class LanguageTaskTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              (std::string("striate_language_") +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    std::string text;
    for (int i = 0; i < 100; ++i) text += "the quick brown fox\njumps over the lazy dog\n";
    write_file_atomically(folder_ / "text.txt", text);
  }
  void TearDown() override { fs::remove_all(folder_); }

  RunConfig config(const std::string& model = "char_lstm") const {
    RunConfig c{.model = model,
                .data = "text:" + (folder_ / "text.txt").string(),
                .recipe = named_recipe("char-lstm")};
    c.recipe.epochs = 2;
    c.recipe.batch_size = 8;
    c.recipe.task = {
        {"embedding_size", 4}, {"hidden_size", 16}, {"layers", 2}, {"dropout", 0.1}, {"chunk", 20}};
    const TextUnit unit = find_language_model(model)->unit;
    c.class_names = make_vocabulary(open_text(c.data, unit), unit, 1).tokens();
    return c;
  }

  TrainerOptions options(const std::string& run) const {
    return {.run = folder_ / run, .make_task = make_language_task};
  }

  void expect_a_stopped_run_goes_on(const RunConfig& c) const {
    striate::expect_a_stopped_run_goes_on(c, make_language_task, folder_, {3, 7, 25});
  }

  fs::path folder_;
};

TEST_F(LanguageTaskTest, LearnsATextByHeart) {
  for (const std::string model : {"char_rnn", "char_lstm", "char_gru", "word_lstm"}) {
    RunConfig c = config(model);
    c.recipe.epochs = 12;
    c.recipe.batch_size = 4;
    c.recipe.task["chunk"] = 10;
    c.recipe.task["hidden_size"] = 32;
    c.recipe.task["dropout"] = 0;
    c.recipe.optimizer.learning_rate = 0.01;
    Trainer::start(c, options(model)).train();
    const auto metrics = read_metrics(folder_ / model / "metrics.jsonl");
    EXPECT_LT(metrics.back().validation_loss, 0.1) << model;
    EXPECT_GT(metrics.back().validation_accuracy, 0.95) << model;
  }
}

TEST_F(LanguageTaskTest, AStoppedRunGoesOnBitForBit) {
  for (const std::string model : {"char_rnn", "char_lstm", "char_gru"}) {
    expect_a_stopped_run_goes_on(config(model));
  }
}

TEST_F(LanguageTaskTest, AStoppedRunGoesOnBetweenStepsOfSeveralChunks) {
  RunConfig c = config();
  c.recipe.batch_size = 4;
  c.recipe.accumulate = 2;
  c.recipe.average_decay = 0.9;
  expect_a_stopped_run_goes_on(c);
}

// The second chunk's gradient, with the state of the first one as a constant that is not zero.
TEST_F(LanguageTaskTest, StateCrossesAChunkAndNoGradientDoes) {
  RunConfig c = config();
  c.recipe.task["dropout"] = 0;
  const auto task = make_language_task(c, options("none"));
  const LanguageModel& model = language_model_of(*task);
  const auto gradients = [&] {
    std::map<std::string, at::Tensor> all;
    for (const auto& [key, tensor] : task->tensors()) {
      all[key] = tensor.grad().clone();
      tensor.mutable_grad().reset();
    }
    return all;
  };
  task->start_epoch({});
  task->add_gradients(1);
  const auto carried = task->carried();
  EXPECT_FALSE(carried.at("h").requires_grad());
  EXPECT_FALSE(carried.at("c").requires_grad());
  EXPECT_GT(carried.at("h").abs().max().item<double>(), 1e-3);
  gradients();
  const double loss = task->add_gradients(1).loss;
  const auto chunked = gradients();

  const EncodedText text = open_encoded_text(c.data, TextUnit::kCharacters, 1);
  const int64_t length = (text.training.size(0) - 1) / 8;
  const auto streams = [&](int64_t from) {
    return text.training.slice(0, from, from + 8 * length).view({8, length}).t();
  };
  const at::Tensor inputs = streams(0);
  const at::Tensor targets = streams(1);
  // By itself: one graph that begins at the second chunk.
  auto own =
      std::make_shared<LanguageModel>(Cell::kLstm, text.vocabulary.size(), model.options(), c.seed);
  const auto loss_of_second = [&](const RecurrentState& state) {
    const at::Tensor logits = own->forward(inputs.slice(0, 20, 40), state).logits;
    return losses::cross_entropy(logits.flatten(0, 1), targets.slice(0, 20, 40).flatten());
  };
  const auto gradients_of = [&](const at::Tensor& of) {
    for (const auto& [key, tensor] : own->tensors()) tensor.mutable_grad().reset();
    of.backward();
    std::map<std::string, at::Tensor> all;
    for (const auto& [key, tensor] : own->tensors()) all[key] = tensor.grad().clone();
    return all;
  };
  const auto difference = [&](const auto& a, const auto& b) {
    double most = 0;
    for (const auto& [key, tensor] : a) {
      most = std::max(most, (tensor - b.at(key)).abs().max().template item<double>());
    }
    return most;
  };
  const RecurrentState first = own->forward(inputs.slice(0, 0, 20)).state;
  EXPECT_NEAR(loss, loss_of_second(first).item<double>(), kRounding);
  EXPECT_GT(std::abs(loss - loss_of_second({}).item<double>()), 10 * kRounding);
  EXPECT_LT(difference(chunked, gradients_of(loss_of_second(first.detach()))), kRounding);
  // Through both chunks the gradient would be another.
  EXPECT_GT(difference(chunked, gradients_of(loss_of_second(first))), 10 * kRounding);
}

TEST_F(LanguageTaskTest, AnEpochBeginsWithAStateOfZerosAndReadsTheTextInOrder) {
  const RunConfig c = config();
  const auto task = make_language_task(c, options("none"));
  EXPECT_TRUE(task->carried().empty());
  task->start_epoch({});
  const double first = task->add_gradients(1).loss;
  const double second = task->add_gradients(1).loss;
  EXPECT_NE(first, second);
  EXPECT_FALSE(task->carried().empty());
  task->start_epoch({.epoch = 1});
  EXPECT_TRUE(task->carried().empty());
  // 4,400 characters, 90 % for training, 8 streams in chunks of 20.
  EXPECT_EQ(task->batches_per_epoch(), (3960 - 1) / 8 / 20);
  EXPECT_EQ(task->unit(), "characters");
}

TEST_F(LanguageTaskTest, ClipsTheGradientByItsNorm) {
  RunConfig c = config();
  c.recipe.epochs = 1;
  c.recipe.optimizer = {.learning_rate = 1, .momentum = 0};
  c.recipe.schedule = {};
  c.recipe.clip_gradient_norm = 1e-3;
  Stopper stopper(1);
  TrainerOptions o = options("clipped");
  o.stop = &stopper.stop;
  o.observer = &stopper;
  Trainer trainer = Trainer::start(c, o);
  std::map<std::string, at::Tensor> before;
  for (const auto& [key, tensor] : trainer.task().tensors()) before[key] = tensor.detach().clone();
  EXPECT_THROW(trainer.train(), Interrupted);
  double squares = 0;
  for (const auto& [key, tensor] : trainer.task().tensors()) {
    squares += (tensor.detach() - before.at(key)).to(at::kDouble).pow(2).sum().item<double>();
  }
  EXPECT_NEAR(std::sqrt(squares), 1e-3, 1e-5);
}

TEST_F(LanguageTaskTest, KeepsTheEpochOfTheLowestValidationLoss) {
  RunConfig c = config();
  c.recipe.epochs = 4;
  Trainer trainer = Trainer::start(c, options("run"));
  trainer.train();
  const auto metrics = read_metrics(folder_ / "run" / "metrics.jsonl");
  double best = metrics.front().validation_loss;
  for (const EpochMetrics& epoch : metrics) best = std::min(best, epoch.validation_loss);
  trainer.load_best();
  const EncodedText text = open_encoded_text(c.data, TextUnit::kCharacters, 1);
  EXPECT_NEAR(evaluate_text(language_model_of(trainer.task()), text.validation).loss, best,
              kRounding);
  EXPECT_GT(metrics.back().items_per_second, 0);
}

TEST_F(LanguageTaskTest, ATextThatIsTooShortForAChunkIsRefused) {
  RunConfig c = config();
  c.recipe.task["chunk"] = 1000;
  try {
    make_language_task(c, options("none"));
    FAIL() << "went on";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what())
                  .find("has 3960 characters for training: 8 streams in chunks of 1000 need 8001"),
              std::string::npos)
        << error.what();
  }
  c = config();
  c.limit = 160;
  EXPECT_THROW(make_language_task(c, options("none")), Error);
  c.limit = 161;
  EXPECT_EQ(make_language_task(c, options("none"))->batches_per_epoch(), 1);
}

TEST_F(LanguageTaskTest, ATextThatChangedIsRefused) {
  const RunConfig c = config();
  write_file_atomically(folder_ / "text.txt", std::string(5000, 'x'));
  EXPECT_THROW(make_language_task(c, options("none")), FormatError);
}

TEST_F(LanguageTaskTest, RecipesWithImpossibleValuesAreRefused) {
  const Json good = config().recipe.task;
  EXPECT_NO_THROW(language_task_options(good, "task"));
  for (const auto& [key, value] : {std::pair<const char*, Json>{"chunk", 0},
                                   {"hidden_size", 0},
                                   {"layers", -1},
                                   {"embedding_size", 1.5},
                                   {"dropout", 1},
                                   {"initial_range", -0.1},
                                   {"minimum_count", 0},
                                   {"hiden_size", 3}}) {
    Json bad = good;
    bad[key] = value;
    EXPECT_THROW(language_task_options(bad, "task"), FormatError) << key;
  }
  EXPECT_THROW(language_task_options(Json::object(), "task"), FormatError);
}

TEST_F(LanguageTaskTest, EveryModelsRecipeCanBeRead) {
  for (const LanguageModelEntry& entry : language_models()) {
    EXPECT_NO_THROW(language_task_options(named_recipe(entry.recipe).task, entry.recipe));
  }
  // zaremba2014, 4.1.
  const Recipe medium = named_recipe("word-lstm-medium");
  const LanguageTaskOptions task = language_task_options(medium.task, "task");
  EXPECT_EQ(task.model.hidden_size, 650);
  EXPECT_EQ(task.model.dropout, 0.5);
  EXPECT_EQ(task.chunk, 35);
  EXPECT_EQ(medium.batch_size, 20);
}

}  // namespace
}  // namespace striate
