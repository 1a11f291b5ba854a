// Training captioners: by heart, resumed, and what can be wrong.
#include "striate/sequence/caption_task.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "sequence/captioned_squares.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/models/models.h"
#include "striate/training/trainer.h"
#include "training/stopped_run.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr double kRounding = 1e-5;  // float32, features in float16 on both sides

class CaptionTaskTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              (std::string("striate_captions_") +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    ::setenv("STRIATE_CACHE", (folder_ / "cache").c_str(), 1);
    write_captioned_squares(folder_);
  }
  void TearDown() override {
    fs::remove_all(folder_);
    ::unsetenv("STRIATE_CACHE");
  }

  std::string data() const { return "captions:" + folder_.string(); }

  RunConfig config(const std::string& model = "show_attend_tell") const {
    RunConfig c{.model = model, .data = data(), .recipe = named_recipe("show-attend-tell")};
    c.recipe.epochs = 2;
    c.recipe.batch_size = 4;
    c.recipe.optimizer.learning_rate = 0.01;
    const Graph graph = build_model("lenet5");
    c.recipe.task["encoder"] = {
        {"weights", (folder_ / "encoder.safetensors").string()},
        {"model", "lenet5"},
        {"node", last_spatial_node(graph)},
        {"input", graph.input_shape()},
        {"classes", 10},
        {"transforms", named_preprocessing(find_model("lenet5").preprocess).to_json()},
        {"train", false}};
    c.recipe.task["embedding_size"] = 8;
    c.recipe.task["hidden_size"] = 24;
    c.recipe.task["attention_size"] = 8;
    c.recipe.task["dropout"] = 0.1;
    c.recipe.task["least_count"] = 1;
    c.class_names = caption_vocabulary(read_captions(folder_), 1);
    return c;
  }

  TrainerOptions options(const std::string& run) const {
    return {.run = folder_ / run, .make_task = make_caption_task};
  }

  void expect_a_stopped_run_goes_on(const RunConfig& c) const {
    striate::expect_a_stopped_run_goes_on(c, make_caption_task, folder_, {1, 4});
  }

  fs::path folder_;
};

TEST_F(CaptionTaskTest, LearnsCaptionsByHeartAndSaysThem) {
  for (const std::string model : {"show_tell", "show_attend_tell"}) {
    for (const std::string attention : {"soft", "hard"}) {
      if (model == "show_tell" && attention == "hard") continue;
      RunConfig c = config(model);
      c.recipe.epochs = 60;
      c.recipe.task["dropout"] = 0;
      c.recipe.task["attention"] = attention;
      const std::string run = model + attention;
      Trainer::start(c, options(run)).train();
      // The mean of an untrained encoder's grid does not tell left from right.
      const bool places = model == "show_attend_tell";
      EXPECT_LT(read_metrics(folder_ / run / "metrics.jsonl").back().train_loss, places ? 0.1 : 0.4)
          << run;
      const Captioner captioner =
          load_captioner(read_weights(folder_ / run / "last.safetensors"), run);
      const CaptionData data = read_captions(folder_);
      const std::vector<fs::path> images = paths_of(data[CaptionSplit::kTrain]);
      const std::vector<Caption> captions =
          caption_images(captioner, images, {.beams = 2, .longest = 20});
      for (size_t i = 0; i < images.size(); ++i) {
        if (!places) continue;
        const Tokens wanted = references_of(data[CaptionSplit::kTrain])[i].front();
        EXPECT_EQ(captions[i].words, wanted) << run << " " << i;
        const auto words = static_cast<int64_t>(captions[i].words.size());
        EXPECT_EQ(
            captions[i].attention.sizes(),
            at::IntArrayRef({words, captioner.encoder->height(), captioner.encoder->width()}));
        EXPECT_LT((captions[i].attention.sum({1, 2}) - 1).abs().max().item<double>(), kRounding);
      }
    }
  }
}

TEST_F(CaptionTaskTest, AStoppedRunGoesOnBitForBit) {
  RunConfig soft = config();
  expect_a_stopped_run_goes_on(soft);
  RunConfig hard = config();
  hard.recipe.task["attention"] = "hard";
  expect_a_stopped_run_goes_on(hard);
  RunConfig rewarded = config();
  rewarded.recipe.task["self_critical"] = true;
  expect_a_stopped_run_goes_on(rewarded);
  RunConfig whole = config("show_tell");
  whole.recipe.task["encoder"]["train"] = true;
  expect_a_stopped_run_goes_on(whole);
}

TEST_F(CaptionTaskTest, AnEncoderMovesOnlyWhereItIsTrained) {
  const auto weights = [&](const std::string& run) {
    return read_weights(folder_ / run / "last.safetensors").tensors;
  };
  const at::Tensor before =
      read_weights(folder_ / "encoder.safetensors").tensors.at("conv1.weight").clone();
  RunConfig c = config();
  Trainer::start(c, options("frozen")).train();
  EXPECT_TRUE(at::equal(weights("frozen").at("encoder.conv1.weight"), before));
  c.recipe.task["encoder"]["train"] = true;
  Trainer::start(c, options("trained")).train();
  EXPECT_FALSE(at::equal(weights("trained").at("encoder.conv1.weight"), before));
}

TEST_F(CaptionTaskTest, ARewardMakesWhatIsRewardedLikelier) {
  RunConfig c = config();
  c.recipe.epochs = 20;
  c.recipe.task["dropout"] = 0;
  Trainer::start(c, options("likely")).train();
  const Weights initial = read_weights(folder_ / "likely" / "last.safetensors");
  c.recipe.epochs = 600;
  c.recipe.batch_size = 16;
  c.recipe.task["self_critical"] = true;
  c.recipe.optimizer.learning_rate = 0.001;
  Trainer::start(c, options("rewarded"), &initial).train();
  const auto metrics = read_metrics(folder_ / "rewarded" / "metrics.jsonl");
  const auto mean_reward = [&](size_t from) {
    double sum = 0;
    for (size_t i = from; i < from + 100; ++i) sum -= metrics[i].train_loss;
    return sum / 100;
  };
  EXPECT_GT(mean_reward(500), mean_reward(0) + 0.3);  // CIDEr-D of what is drawn, at most 10
}

TEST_F(CaptionTaskTest, ABlindOneSaysTheSameOfEveryImage) {
  RunConfig c = config();
  c.recipe.task["blind"] = true;
  Trainer::start(c, options("blind")).train();
  const Captioner captioner =
      load_captioner(read_weights(folder_ / "blind" / "last.safetensors"), "blind");
  const std::vector<fs::path> images = paths_of(read_captions(folder_)[CaptionSplit::kTrain]);
  const std::vector<Caption> captions =
      caption_images(captioner, images, {.beams = 1, .longest = 20});
  for (const Caption& caption : captions) EXPECT_EQ(caption.words, captions.front().words);
}

TEST_F(CaptionTaskTest, FeaturesAreKeptUntilSomethingChanges) {
  const CaptionEncoder encoder(caption_encoder_options(config().recipe.task["encoder"], "encoder"));
  const std::vector<fs::path> images = paths_of(read_captions(folder_)[CaptionSplit::kTrain]);
  int64_t computed = 0;
  const auto kept = [&] {
    return kept_features(encoder, images, folder_ / "kept", [&](int64_t done) { computed = done; });
  };
  const at::Tensor features = kept().clone();
  EXPECT_EQ(computed, 8);
  at::NoGradGuard no_grad;
  EXPECT_TRUE(at::equal(features, encoder.features(images).to(at::kHalf)));
  computed = 0;
  EXPECT_TRUE(at::equal(kept(), features));
  EXPECT_EQ(computed, 0);  // read
  write_square(folder_ / "images" / "0.png", {.level = 10, .ground = 99});
  fs::last_write_time(images.front(), fs::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_FALSE(at::equal(kept(), features));
  EXPECT_EQ(computed, 8);
}

TEST_F(CaptionTaskTest, TheNearestImageIsThatOfTheMostAlikeFeatures) {
  const CaptionEncoder encoder(caption_encoder_options(config().recipe.task["encoder"], "encoder"));
  const std::vector<CaptionedImage> training = read_captions(folder_)[CaptionSplit::kTrain];
  const at::Tensor features = encoded(encoder, paths_of(training));
  const std::vector<Tokens> nearest = nearest_captions(features, features, training);
  EXPECT_EQ(nearest.size(), training.size());
  for (size_t i = 0; i < nearest.size(); ++i) {
    EXPECT_EQ(nearest[i], caption_tokens(training[i].captions.front()));
  }
}

TEST_F(CaptionTaskTest, OneWordAndUnknownWordsAreCaptions) {
  std::string table = "split\timage\tcaption\n";
  for (int i = 0; i < 12; ++i) {
    const std::string split = i < 8 ? "train" : i < 10 ? "val" : "test";
    table += split + "\t" + std::to_string(i) + ".png\t" + (i < 8 ? "square" : "never seen") + "\n";
  }
  write_file_atomically(folder_ / "captions.tsv", table);
  RunConfig c = config();
  Trainer::start(c, options("run")).train();
  EXPECT_TRUE(std::isfinite(read_metrics(folder_ / "run/metrics.jsonl").back().validation_loss));
}

TEST_F(CaptionTaskTest, WhatCanNotBeTrainedIsAnError) {
  RunConfig c = config();
  c.recipe.batch_size = 1000;
  EXPECT_THROW(Trainer::start(c, options("a")), Error);
  c = config();
  c.class_names.pop_back();
  EXPECT_THROW(Trainer::start(c, options("b")), FormatError);
  c = config();
  c.recipe.task["encoder"]["node"] = "fc6";
  EXPECT_ANY_THROW(Trainer::start(c, options("c")));
  for (const char* setting : {"hidden_size", "attention_size", "embedding_size"}) {
    c = config();
    c.recipe.task[setting] = 0;
    EXPECT_THROW(caption_task_options(c.recipe.task, "task"), FormatError) << setting;
  }
  c = config();
  c.recipe.task["attention"] = "medium";
  EXPECT_THROW(caption_task_options(c.recipe.task, "task"), FormatError);
  c = config();
  c.recipe.task["entropy"] = -1;
  EXPECT_THROW(caption_task_options(c.recipe.task, "task"), FormatError);
  fs::remove(folder_ / "images" / "3.png");
  EXPECT_THROW(Trainer::start(config(), options("d")), Error);
}

TEST_F(CaptionTaskTest, ADamagedFileIsAnError) {
  Trainer::start(config(), options("run")).train();
  const Weights good = read_weights(folder_ / "run" / "last.safetensors");
  EXPECT_NO_THROW(load_captioner(good, "good"));
  Weights bad = good;
  bad.metadata.erase("striate.caption_vocabulary");
  EXPECT_THROW(load_captioner(bad, "bad"), FormatError);
  bad = good;
  bad.metadata["striate.captioner"] = "{";
  EXPECT_THROW(load_captioner(bad, "bad"), FormatError);
  bad = good;
  bad.tensors.erase("lstm.weight_hh_l0");
  EXPECT_THROW(load_captioner(bad, "bad"), ShapeError);
  bad = good;
  bad.tensors["gate.weight"] = at::zeros({3});
  EXPECT_THROW(load_captioner(bad, "bad"), ShapeError);
  bad = good;
  bad.metadata.erase("striate.captioner");
  EXPECT_THROW(load_captioner(bad, "bad"), LookupError);
}

}  // namespace
}  // namespace striate
