#include "striate/sequence/translation_task.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "sequence/translation_pairs.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/training/trainer.h"
#include "training/stopped_run.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr double kRounding = 1e-6;  // float32

class TranslationTaskTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    std::ranges::replace(name, '/', '_');
    folder_ = fs::path(testing::TempDir()) / ("striate_translation_" + name);
    fs::remove_all(folder_);
    const SentencePairs pairs = word_by_word_pairs();
    std::string source;
    std::string target;
    for (size_t i = 0; i < pairs.source.size(); ++i) {
      source += pairs.source[i] + "\n";
      target += pairs.target[i] + "\n";
    }
    for (const char* part : {"train", "val", "test"}) {
      write_file_atomically(folder_ / (std::string(part) + ".a"), source);
      write_file_atomically(folder_ / (std::string(part) + ".b"), target);
    }
  }
  void TearDown() override { fs::remove_all(folder_); }

  RunConfig config(const std::string& model = GetParam()) const {
    RunConfig c{
        .model = model,
        .data = "pairs:" + (folder_ / "train.a").string() + ":" + (folder_ / "train.b").string(),
        .recipe = named_recipe(find_translation_model(model)->recipe)};
    c.recipe.epochs = 3;
    c.recipe.batch_size = 8;
    c.recipe.task = {{"embedding_size", 8}, {"hidden_size", 16},      {"dropout", 0.2},
                     {"merges", 30},        {"label_smoothing", 0.1}, {"scheduled_sampling", 0.5}};
    c.class_names =
        parts_of_both(make_translator(model, word_by_word_pairs(), small_task_options(), c.seed));
    return c;
  }

  TrainerOptions options(const std::string& run) const {
    return {.run = folder_ / run, .make_task = make_translation_task};
  }

  fs::path folder_;
};

TEST_P(TranslationTaskTest, LearnsPairsByHeart) {
  RunConfig c = config();
  c.recipe.epochs = 80;
  c.recipe.task["hidden_size"] = 48;
  c.recipe.task["dropout"] = 0;
  c.recipe.task["scheduled_sampling"] = 0;
  c.recipe.optimizer.learning_rate = 0.01;
  Trainer trainer = Trainer::start(c, options("run"));
  trainer.train();
  trainer.load_best();
  const Translator& translator = translator_of(trainer.task());
  const SentencePairs pairs = word_by_word_pairs();
  for (const int64_t beams : {1, 4}) {
    std::vector<std::string> texts;
    for (const auto& translation :
         translate(translator, pairs.source, {.beams = beams, .length_exponent = 1})) {
      texts.push_back(translation.text);
    }
    EXPECT_EQ(texts, pairs.target) << beams;
  }
}

TEST_P(TranslationTaskTest, AStoppedRunGoesOnBitForBit) {
  expect_a_stopped_run_goes_on(config(), make_translation_task, folder_, {3, 9, 2});
}

TEST_P(TranslationTaskTest, KeepsTheEpochOfTheLowestValidationLoss) {
  const RunConfig c = config();
  Trainer trainer = Trainer::start(c, options("run"));
  trainer.train();
  double best = 1e9;
  for (const EpochMetrics& epoch : read_metrics(folder_ / "run" / "metrics.jsonl")) {
    best = std::min(best, epoch.validation_loss);
  }
  trainer.load_best();
  const Translator& translator = translator_of(trainer.task());
  const EncodedPairs pairs = encode_pairs(translator, word_by_word_pairs());
  EXPECT_NEAR(evaluate_pairs(*translator.model, pairs).loss, best, kRounding);
}

TEST_P(TranslationTaskTest, ScheduledTokensAreTheModelsOwnButNeverTheFirst) {
  const Translator translator =
      make_translator(GetParam(), word_by_word_pairs(), small_task_options(), 1);
  translator.model->eval();
  {
    at::NoGradGuard no_grad;  // it says 5, whatever it reads
    for (const auto& [key, tensor] : translator.model->tensors()) {
      if (key == "output.bias") tensor[5] = 50;
    }
  }
  const EncodedPairs pairs = encode_pairs(translator, word_by_word_pairs());
  const std::vector<int64_t> chosen = {62, 2, 5, 11};
  const PairBatch batch = make_pair_batch(pairs, chosen, at::kCPU);
  const auto state = translator.model->encode(batch.source);
  const auto mixed = [&](double share) {
    return scheduled_inputs(*translator.model, state, batch.inputs, share);
  };
  EXPECT_TRUE(mixed(0).equal(batch.inputs));
  const at::Tensor all = mixed(1);
  EXPECT_TRUE(all[0].equal(batch.inputs[0]));
  EXPECT_TRUE(all.slice(0, 1).eq(5).all().item<bool>());
  EXPECT_FALSE(all.requires_grad());
  at::manual_seed(1);
  double own = 0;
  for (int i = 0; i < 200; ++i)
    own += mixed(0.25).slice(0, 1).ne(batch.inputs.slice(0, 1)).sum().item<double>();
  const auto others = batch.inputs.slice(0, 1).ne(5).sum().item<double>();
  EXPECT_NEAR(own / (200 * others), 0.25, 0.03);  // 4 standard deviations
}

TEST_P(TranslationTaskTest, FewerPairsThanABatchAreRefused) {
  RunConfig c = config();
  c.limit = 7;
  EXPECT_THROW(make_translation_task(c, options("none")), Error);
  c.limit = 17;
  EXPECT_EQ(make_translation_task(c, options("none"))->batches_per_epoch(), 2);
  c.recipe.task["longest"] = 1;
  EXPECT_THROW(make_translation_task(c, options("none")), Error);
}

TEST_P(TranslationTaskTest, FilesThatChangedAreRefused) {
  const RunConfig c = config();
  write_file_atomically(folder_ / "train.a", read_file(folder_ / "train.b"));
  EXPECT_THROW(make_translation_task(c, options("none")), FormatError);
}

TEST_P(TranslationTaskTest, RecipesWithImpossibleValuesAreRefused) {
  const Json good = config().recipe.task;
  EXPECT_NO_THROW(translation_task_options(good, "task"));
  for (const auto& [key, value] : {std::pair<const char*, Json>{"hidden_size", 0},
                                   {"embedding_size", 1.5},
                                   {"layers", 65},
                                   {"dropout", 1},
                                   {"merges", 0},
                                   {"longest", 0},
                                   {"label_smoothing", 1},
                                   {"scheduled_sampling", -0.1},
                                   {"reverse_source", 1},
                                   {"hiden_size", 3}}) {
    Json bad = good;
    bad[key] = value;
    EXPECT_THROW(translation_task_options(bad, "task"), FormatError) << key;
  }
  const TranslationEntry& entry = *find_translation_model(GetParam());
  EXPECT_NO_THROW(translation_task_options(named_recipe(entry.recipe).task, entry.recipe));
}

INSTANTIATE_TEST_SUITE_P(Models, TranslationTaskTest, testing::ValuesIn(translation_model_names()),
                         [](const auto& info) { return info.param; });

TEST(BatchesOfSimilarLength, HoldEachPairOnceAndLittlePadding) {
  EncodedPairs pairs;
  Random random({1});
  for (int i = 0; i < 1000; ++i) {
    const auto length = static_cast<size_t>(1 + random.below(30));
    pairs.source.emplace_back(length + static_cast<size_t>(random.below(4)), 4);
    pairs.target.emplace_back(length, 4);
  }
  Random a({7});
  Random b({7});
  Random other({8});
  const auto batches = batches_of_similar_length(pairs, 32, a);
  EXPECT_EQ(batches, batches_of_similar_length(pairs, 32, b));
  EXPECT_NE(batches, batches_of_similar_length(pairs, 32, other));
  ASSERT_EQ(batches.size(), 31);  // 8 pairs are too few for a batch
  std::set<int64_t> seen;
  size_t padded = 0;
  size_t tokens = 0;
  std::vector<size_t> longest;
  for (const auto& batch : batches) {
    EXPECT_EQ(batch.size(), 32);
    size_t most = 0;
    for (const int64_t pair : batch) {
      EXPECT_TRUE(seen.insert(pair).second);
      const size_t length = pairs.target[static_cast<size_t>(pair)].size();
      most = std::max(most, length);
      tokens += length;
    }
    padded += 32 * most;
    longest.push_back(most);
  }
  EXPECT_LT(static_cast<double>(padded), 1.05 * static_cast<double>(tokens));
  EXPECT_FALSE(std::ranges::is_sorted(longest));
}

TEST(PartsOfBoth, TellHowManyAreOfEachLanguage) {
  const Translator translator =
      make_translator("seq2seq", word_by_word_pairs(), small_task_options(), 1);
  const TranslationModelSizes sizes = sizes_of_both(parts_of_both(translator));
  EXPECT_EQ(sizes.source_vocabulary, translator.source.vocabulary().size());
  EXPECT_EQ(sizes.target_vocabulary, translator.target.vocabulary().size());
  EXPECT_THROW(sizes_of_both({}), FormatError);
  EXPECT_THROW(sizes_of_both({"a", "b"}), FormatError);
}

}  // namespace
}  // namespace striate
