#include "striate/sequence/draw_task.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/training/trainer.h"
#include "training/stopped_run.h"
#include "training/tiny_data.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr double kRounding = 1e-4;  // float32, of numbers of about 500

class DrawTaskTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              (std::string("striate_draw_") +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    write_tiny_data(folder_ / "data", 80, 20, 4);
  }
  void TearDown() override { fs::remove_all(folder_); }

  RunConfig config(const std::string& recipe = "draw") const {
    RunConfig c{.model = "draw",
                .input = {1, 28, 28},
                .data = "idx:" + (folder_ / "data").string(),
                .recipe = named_recipe(recipe)};
    c.recipe.epochs = 2;
    c.recipe.batch_size = 10;
    c.recipe.task["hidden_size"] = 16;
    c.recipe.task["latent_size"] = 4;
    c.recipe.task["steps"] = 3;
    c.recipe.task["validation_size"] = 20;
    return c;
  }

  TrainerOptions options(const std::string& run) const {
    return {.run = folder_ / run, .make_task = make_draw_task};
  }

  DrawTaskOptions task_options(const RunConfig& c) const {
    return draw_task_options(c.recipe.task, c.input, "task");
  }

  fs::path folder_;
};

TEST_F(DrawTaskTest, LearnsWithAndWithoutAttention) {
  for (const std::string recipe : {"draw", "draw-no-attention"}) {
    RunConfig c = config(recipe);
    c.recipe.epochs = 30;
    c.recipe.optimizer.learning_rate = 0.01;
    c.recipe.task["binarize"] = "threshold";
    Trainer::start(c, options(recipe)).train();
    const auto metrics = read_metrics(folder_ / recipe / "metrics.jsonl");
    EXPECT_GT(metrics.front().validation_loss, 300) << recipe;
    EXPECT_LT(metrics.back().validation_loss, 150) << recipe;
  }
}

TEST_F(DrawTaskTest, AStoppedRunGoesOnBitForBit) {
  for (const std::string recipe : {"draw", "draw-no-attention"}) {
    expect_a_stopped_run_goes_on(config(recipe), make_draw_task, folder_, {2, 3, 4});
  }
}

TEST_F(DrawTaskTest, WeightsSayAllThatTheyNeed) {
  const RunConfig c = config();
  Trainer trainer = Trainer::start(c, options("run"));
  trainer.train();
  trainer.load_best();
  const auto data = open_dataset(c.data, Split::kTest);
  const DrawEvaluation trained = evaluate_draw(draw_of(trainer.task()), task_options(c), *data);
  EXPECT_EQ(trained.images, 20);
  const LoadedDraw loaded = load_draw(read_weights(folder_ / "run/best.safetensors"), "best");
  EXPECT_EQ(loaded.options.model.steps, 3);
  EXPECT_EQ(loaded.options.validation_size, 20);
  const DrawEvaluation again = evaluate_draw(*loaded.model, loaded.options, *data);
  EXPECT_EQ(again.reconstruction, trained.reconstruction);
  EXPECT_EQ(again.latent, trained.latent);
  double best = 1e9;
  for (const EpochMetrics& epoch : read_metrics(folder_ / "run/metrics.jsonl")) {
    best = std::min(best, epoch.validation_loss);
  }
  EXPECT_NEAR(evaluate_draw(*loaded.model, loaded.options, *open_held_out(c.data, 20)).bound(),
              best, kRounding);
}

TEST_F(DrawTaskTest, BinarizesAsItSays) {
  // A network that paints nothing: every pixel's mean is 0.5, whatever the image.
  const auto bound_of = [&](const std::string& binarize) {
    RunConfig c = config("draw-no-attention");
    c.recipe.task["binarize"] = binarize;
    const DrawTaskOptions o = task_options(c);
    Draw model(o.model, 1);
    at::NoGradGuard no_grad;
    for (const auto& [key, tensor] : model.tensors()) tensor.zero_();
    // A canvas that costs 1 for every pixel that is white, and log(1 + exp(-1)) for every black.
    model.weights().canvas.fill_(-1);
    const auto data = open_dataset(c.data, Split::kTest);
    const double once = evaluate_draw(model, o, *data).reconstruction;
    EXPECT_EQ(evaluate_draw(model, o, *data).reconstruction, once) << binarize;
    return once - 784 * std::log1p(std::exp(-1.0));
  };
  // The mean number of white pixels, or of their intensities.
  const auto data = open_dataset(config().data, Split::kTest);
  double intensity = 0;
  double bright = 0;
  for (int64_t i = 0; i < data->size(); ++i) {
    for (const uint8_t pixel : data->sample(i).image.pixels) {
      intensity += pixel / 255.0;
      bright += pixel >= 128 ? 1 : 0;
    }
  }
  const auto n = static_cast<double>(data->size());
  EXPECT_NEAR(bound_of("none"), intensity / n, 0.01);
  EXPECT_NEAR(bound_of("threshold"), bright / n, 0.01);
  const double drawn = bound_of("stochastic");
  EXPECT_NEAR(drawn, intensity / n, 10);  // of 784 pixels, over 20 images: 4 deviations
  EXPECT_GT(std::abs(drawn - intensity / n), 1e-3);
}

TEST_F(DrawTaskTest, EachEpochDrawsPixelsAndNoiseAnew) {
  const auto task = make_draw_task(config(), options("none"));
  const auto losses = [&](int64_t epoch, int64_t batch) {
    task->start_epoch({.epoch = epoch, .batch = batch});
    return task->add_gradients(1).loss;
  };
  const double first = losses(0, 0);
  EXPECT_EQ(losses(0, 0), first);
  EXPECT_NE(losses(1, 0), first);
  EXPECT_NE(losses(0, 1), first);
}

TEST_F(DrawTaskTest, RecipesWithImpossibleValuesAreRefused) {
  const Json good = config().recipe.task;
  const Shape input = {1, 28, 28};
  EXPECT_NO_THROW(draw_task_options(good, input, "task"));
  for (const auto& [key, value] : {std::pair<const char*, Json>{"read_size", 29},
                                   {"read_size", 0},
                                   {"write_size", -1},
                                   {"hidden_size", 0},
                                   {"latent_size", 1.5},
                                   {"steps", 0},
                                   {"validation_size", 0},
                                   {"binarize", "sometimes"},
                                   {"transforms", Json::parse(R"([{"normalize": {}}])")},
                                   {"transforms", Json::parse(R"([{"ten_crop": {"size": 20}}])")},
                                   {"step", 3}}) {
    Json bad = good;
    bad[key] = value;
    EXPECT_THROW(draw_task_options(bad, input, "task"), FormatError) << key << " " << value;
  }
  EXPECT_THROW(draw_task_options(Json::object(), input, "task"), FormatError);
  EXPECT_NO_THROW(draw_task_options(named_recipe("draw-colour").task, {3, 32, 32}, "task"));
}

TEST_F(DrawTaskTest, DamagedWeightsAreRefused) {
  RunConfig c = config();
  c.recipe.epochs = 1;
  Trainer::start(c, options("run")).train();
  const Weights good = read_weights(folder_ / "run/best.safetensors");
  EXPECT_NO_THROW(load_draw(good, "file"));
  Weights bad = good;
  bad.metadata.erase("striate.draw");
  EXPECT_THROW(load_draw(bad, "file"), LookupError);
  bad = good;
  bad.metadata.erase("striate.input");
  EXPECT_THROW(load_draw(bad, "file"), FormatError);
  bad = good;
  bad.metadata["striate.input"] = "[1, 28]";
  EXPECT_THROW(load_draw(bad, "file"), FormatError);
  bad = good;
  bad.metadata["striate.draw"] = "{";
  EXPECT_THROW(load_draw(bad, "file"), FormatError);
  bad = good;
  bad.tensors.erase("latent.bias");
  EXPECT_THROW(load_draw(bad, "file"), ShapeError);
  bad = good;
  bad.metadata["striate.input"] = "[1, 40, 28]";
  EXPECT_THROW(load_draw(bad, "file"), ShapeError);
}

TEST_F(DrawTaskTest, SamplesFollowTheSeed) {
  Draw model(task_options(config()).model, 1);
  const Drawing a = sample_draw(model, 4, 1);
  EXPECT_EQ(a.canvases.sizes(), at::IntArrayRef({3, 4, 1, 28, 28}));
  EXPECT_EQ(a.windows.sizes(), at::IntArrayRef({3, 4, 4}));
  EXPECT_GE(a.canvases.min().item<double>(), 0);
  EXPECT_LE(a.canvases.max().item<double>(), 1);
  EXPECT_TRUE(a.canvases.equal(sample_draw(model, 4, 1).canvases));
  EXPECT_FALSE(a.canvases.equal(sample_draw(model, 4, 2).canvases));
  EXPECT_THROW(sample_draw(model, 0, 1), std::invalid_argument);
  Draw plain(task_options(config("draw-no-attention")).model, 1);
  EXPECT_FALSE(sample_draw(plain, 1, 1).windows.defined());
}

}  // namespace
}  // namespace striate
