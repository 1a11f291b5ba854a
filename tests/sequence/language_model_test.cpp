#include "striate/sequence/language_model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "models/generated.h"
#include "striate/base/error.h"
#include "striate/training/losses.h"
#include "striate/training/optimizer.h"

namespace striate {
namespace {

// Ten updates in float64 on both sides.
constexpr double kRounding = 1e-10;

constexpr LanguageModelOptions kSizes = {.embedding_size = 3, .hidden_size = 5, .layers = 2};

// tools/reference/recurrent.py trains this, chunk by chunk.
class TruncatedBackpropagation : public testing::TestWithParam<std::pair<std::string, Cell>> {};

TEST_P(TruncatedBackpropagation, FollowsPyTorchForTenUpdates) {
  constexpr int64_t kVocabulary = 11, kBatch = 4, kChunk = 6, kUpdates = 10;
  const auto& [name, cell] = GetParam();
  LanguageModel model(cell, kVocabulary, kSizes, 1);
  model.to(at::kDouble);
  {
    at::NoGradGuard no_grad;
    for (const auto& [key, tensor] : model.tensors()) {
      const std::string stands_for = "input.language_model_" + name + "." + key;
      tensor.copy_(generated(stands_for, tensor.sizes().vec()) / 4);
    }
  }
  const at::Tensor k = at::arange(kUpdates * kChunk + 1);
  const at::Tensor text = (k * k).unsqueeze(1).add(at::arange(kBatch)).remainder(kVocabulary);
  const at::Tensor wanted = read_weights(std::filesystem::path(STRIATE_SOURCE_DIR) /
                                         "tests/reference/recurrent.safetensors")
                                .tensors.at("language_model_" + name + "/losses");

  Optimizer optimizer(model.tensors(), {.learning_rate = 0.7, .momentum = 0});
  RecurrentState state;
  for (int64_t i = 0; i < kUpdates; ++i) {
    const int64_t from = i * kChunk;
    const auto out = model.forward(text.slice(0, from, from + kChunk), state);
    state = out.state.detach();
    const at::Tensor targets = text.slice(0, from + 1, from + kChunk + 1).flatten();
    const at::Tensor loss = losses::cross_entropy(out.logits.flatten(0, 1), targets);
    EXPECT_NEAR(loss.item<double>(), wanted[i].item<double>(), kRounding) << "update " << i;
    optimizer.zero_gradients();
    torch::autograd::backward({loss}, {});
    optimizer.clip_gradient_norm(0.5);
    optimizer.step(0.7);
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, TruncatedBackpropagation,
                         testing::Values(std::pair{"rnn", Cell::kRnn},
                                         std::pair{"lstm", Cell::kLstm},
                                         std::pair{"gru", Cell::kGru}),
                         [](const auto& info) { return info.param.first; });

TEST(LanguageModel, HasTheKeysOfPyTorchsExampleInItsOrder) {
  const LanguageModel model(Cell::kLstm, 7, kSizes, 1);
  const auto shapes = language_model_shapes(Cell::kLstm, 7, kSizes);
  ASSERT_EQ(model.tensors().size(), shapes.size());
  for (size_t i = 0; i < shapes.size(); ++i) {
    EXPECT_EQ(model.tensors()[i].first, shapes[i].first);
    EXPECT_EQ(model.tensors()[i].second.sizes().vec(), shapes[i].second) << shapes[i].first;
  }
  EXPECT_EQ(shapes.front().first, "encoder.weight");
  EXPECT_EQ(shapes[1].first, "rnn.weight_ih_l0");
  EXPECT_EQ(shapes[1].second, (std::vector<int64_t>{20, 3}));
  EXPECT_EQ(shapes.back().first, "decoder.bias");
}

TEST(LanguageModel, StartsWithinItsRange) {
  LanguageModelOptions options = kSizes;
  options.initial_range = 0.04;
  const LanguageModel model(Cell::kLstm, 50, options, 1);
  for (const auto& [key, tensor] : model.tensors()) {
    EXPECT_LE(tensor.abs().max().item<double>(), 0.04) << key;
    EXPECT_GT(tensor.abs().max().item<double>(), 0.02) << key;
  }
}

TEST(LanguageModel, DropsInTrainingOnly) {
  LanguageModelOptions options = kSizes;
  options.dropout = 0.5;
  LanguageModel model(Cell::kGru, 7, options, 1);
  const at::Tensor tokens = at::arange(7).unsqueeze(1);
  model.eval();
  EXPECT_TRUE(model.forward(tokens).logits.equal(model.forward(tokens).logits));
  model.train();
  EXPECT_FALSE(model.forward(tokens).logits.equal(model.forward(tokens).logits));
}

// Every token but the first is predicted once, and each from what lies before it in its piece.
TEST(EvaluateText, IsTheMeanOverAllTokensOfAPiece) {
  LanguageModel model(Cell::kLstm, 7, kSizes, 1);
  at::manual_seed(1);
  const at::Tensor tokens = at::randint(7, {301}, at::kLong);
  const TextLoss result = evaluate_text(model, tokens);
  model.eval();
  const at::Tensor logits = model.forward(tokens.slice(0, 0, 300).unsqueeze(1)).logits.squeeze(1);
  const at::Tensor targets = tokens.slice(0, 1);
  EXPECT_EQ(result.tokens, 300);
  EXPECT_NEAR(result.loss, losses::cross_entropy(logits, targets).item<double>(), 1e-5);
  EXPECT_NEAR(result.accuracy, logits.argmax(1).eq(targets).to(at::kDouble).mean().item<double>(),
              1e-12);
  EXPECT_NEAR(result.bits(), result.loss / std::log(2.0), 1e-12);
  EXPECT_NEAR(result.perplexity(), std::exp(result.loss), 1e-9);
}

TEST(EvaluateText, CountsEachTokenOfALongTextOnceInWhateverPieces) {
  LanguageModel model(Cell::kLstm, 7, kSizes, 1);
  at::manual_seed(2);
  const at::Tensor tokens = at::randint(7, {1030}, at::kLong);  // 4 pieces of 258
  const TextLoss whole = evaluate_text(model, tokens);
  EXPECT_EQ(whole.tokens, 1029);
  double sum = 0;
  for (int64_t from = 0; from < 1029; from += 258) {
    const at::Tensor piece = tokens.slice(0, from, std::min<int64_t>(from + 259, 1030));
    const at::Tensor logits =
        model.forward(piece.slice(0, 0, piece.size(0) - 1).unsqueeze(1)).logits.squeeze(1);
    sum += losses::cross_entropy(logits, piece.slice(0, 1)).item<double>() *
           static_cast<double>(piece.size(0) - 1);
  }
  EXPECT_NEAR(whole.loss, sum / 1029, 1e-5);
  EXPECT_TRUE(model.is_training());
  EXPECT_THROW(evaluate_text(model, tokens.slice(0, 0, 1)), std::invalid_argument);
}

LoadedLanguageModel small_model() {
  const LanguageModelEntry* entry = find_language_model("char_lstm");
  const TextVocabulary vocabulary(TextUnit::kCharacters, {"\n", "a", "b", "c", "d", "e", "f"});
  auto model = std::make_shared<LanguageModel>(entry->cell, vocabulary.size(), kSizes, 1);
  model->eval();
  return {.entry = entry, .vocabulary = vocabulary, .model = model};
}

std::string sampled(const LoadedLanguageModel& model, const SamplingOptions& options) {
  std::string text;
  sample_text(model, options, [&](const std::string& piece) { text += piece; });
  return text;
}

TEST(SampleText, IsTheSameForTheSameSeed) {
  const LoadedLanguageModel model = small_model();
  const SamplingOptions options{.prompt = "abc", .length = 40, .seed = 3};
  const std::string text = sampled(model, options);
  EXPECT_EQ(text.size(), 43U);
  EXPECT_TRUE(text.starts_with("abc"));
  EXPECT_EQ(sampled(model, options), text);
  EXPECT_NE(sampled(model, {.prompt = "abc", .length = 40, .seed = 4}), text);
  EXPECT_EQ(sampled(model, {.length = 5}).size(), 5U);
}

// At a temperature near zero the likeliest token is drawn; what comes out is then the greedy text.
TEST(SampleText, IsGreedyWhenCold) {
  const LoadedLanguageModel model = small_model();
  const std::string text = sampled(model, {.prompt = "a", .temperature = 1e-6, .length = 20});
  std::vector<std::string> tokens = {"a"};
  for (int i = 0; i < 20; ++i) {
    const at::Tensor logits =
        model.model->forward(model.vocabulary.encode(tokens, "it").unsqueeze(1)).logits;
    tokens.push_back(
        model.vocabulary.tokens()[static_cast<size_t>(logits[-1][0].argmax().item<int64_t>())]);
  }
  std::string greedy;
  for (const std::string& token : tokens) greedy += token;
  EXPECT_EQ(text, greedy);
}

// Of 4,000 draws the shares are those of the softmax at that temperature, to four deviations.
TEST(SampleText, DrawsAsLikelyAsTheSoftmaxSays) {
  const LoadedLanguageModel model = small_model();
  const at::Tensor logits =
      model.model->forward(model.vocabulary.encode({"a"}, "it").unsqueeze(1)).logits[0][0];
  const at::Tensor shares = (logits.to(at::kDouble) / 0.5).softmax(0);
  constexpr int kDraws = 4000;
  std::map<std::string, int> counts;
  for (uint64_t seed = 0; seed < kDraws; ++seed) {
    ++counts[sampled(model, {.prompt = "a", .temperature = 0.5, .length = 1, .seed = seed})];
  }
  for (int64_t i = 0; i < model.vocabulary.size(); ++i) {
    const double share = shares[i].item<double>();
    const double drawn =
        counts["a" + model.vocabulary.tokens()[static_cast<size_t>(i)]] / double{kDraws};
    EXPECT_NEAR(drawn, share, 4 * std::sqrt(share * (1 - share) / kDraws));
  }
}

TEST(SampleText, RefusesWhatItCanNotDo) {
  const LoadedLanguageModel model = small_model();
  for (const double temperature : {0.0, -1.0, std::numeric_limits<double>::infinity(),
                                   std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THROW(sampled(model, {.temperature = temperature}), std::invalid_argument);
  }
  EXPECT_THROW(sampled(model, {.length = 0}), std::invalid_argument);
  EXPECT_THROW(sampled(model, {.prompt = "axe"}), LookupError);
  EXPECT_THROW(sampled(model, {.prompt = "\xff"}), FormatError);
}

Weights weights_of(const LoadedLanguageModel& model) {
  return {.tensors = {model.model->tensors().begin(), model.model->tensors().end()},
          .metadata = language_model_metadata(*model.entry, model.vocabulary, kSizes)};
}

TEST(LoadLanguageModel, NeedsNothingButTheFile) {
  const LoadedLanguageModel model = small_model();
  const Weights weights = weights_of(model);
  EXPECT_TRUE(is_language_model(weights));
  const LoadedLanguageModel loaded = load_language_model(weights, "it");
  EXPECT_EQ(loaded.entry->name, "char_lstm");
  EXPECT_EQ(loaded.vocabulary.tokens(), model.vocabulary.tokens());
  const SamplingOptions options{.prompt = "ab", .length = 30};
  EXPECT_EQ(sampled(loaded, options), sampled(model, options));
}

TEST(LoadLanguageModel, RefusesDamagedFiles) {
  const Weights whole = weights_of(small_model());
  EXPECT_THROW(load_language_model({.tensors = whole.tensors, .metadata = {}}, "it"), LookupError);
  const auto with = [&](const std::string& key, const std::string& value) {
    Weights weights = whole;
    weights.metadata[key] = value;
    return weights;
  };
  EXPECT_THROW(load_language_model(with("striate.model", "char_lsmt"), "it"), LookupError);
  Weights unnamed = whole;
  unnamed.metadata.erase("striate.model");
  EXPECT_THROW(load_language_model(unnamed, "it"), FormatError);
  EXPECT_THROW(load_language_model(with("striate.vocabulary", "[1]"), "it"), FormatError);
  EXPECT_THROW(load_language_model(with("striate.vocabulary", R"(["a"])"), "it"), ShapeError);
  EXPECT_THROW(load_language_model(with("striate.language_model", "{}"), "it"), FormatError);
  EXPECT_THROW(
      load_language_model(with("striate.language_model",
                               R"({"embedding_size": 3, "hidden_size": 5, "layers": 60000})"),
                          "it"),
      ShapeError);
  Weights without = whole;
  without.tensors.erase("rnn.bias_hh_l1");
  EXPECT_THROW(load_language_model(without, "it"), ShapeError);
}

}  // namespace
}  // namespace striate
