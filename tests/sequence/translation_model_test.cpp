// Models that translate against plain PyTorch (tests/reference/README.md), finite differences and
// themselves.
#include "striate/sequence/translation_model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <filesystem>

#include "models/generated.h"
#include "striate/base/error.h"
#include "striate/sequence/vocabulary.h"
#include "striate/training/losses.h"

namespace striate {
namespace {

constexpr double kRounding = 1e-12;  // float64 on both sides; sums in another order
// Of a central difference with this step, in float64: its own error is of the order of step².
constexpr double kDifferenceStep = 1e-5;
constexpr double kDifferenceTolerance = 1e-8;

// tools/reference/translation.py has the same.
constexpr TranslationModelSizes kSizes = {.source_vocabulary = 11, .target_vocabulary = 9};
constexpr double kSmoothing = 0.1;
const std::vector<std::vector<int64_t>> kSource = {{4, 5, 6, 7, 3}, {8, 3}, {9, 10, 4, 3}};
const std::vector<std::vector<int64_t>> kInputs = {{2, 4, 5}, {2, 6, 7, 8, 4}, {2, 5}};
const std::vector<std::vector<int64_t>> kTargets = {{4, 5, 3}, {6, 7, 8, 4, 3}, {5, 3}};

struct Case {
  std::string name;
  std::string model;
  TranslationModelOptions options;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

const std::vector<Case>& cases() {
  constexpr TranslationModelOptions kPlain = {.embedding_size = 6, .hidden_size = 5};
  static const std::vector<Case> kCases = [&] {
    std::vector<Case> all = {{"seq2seq", "seq2seq", kPlain},
                             {"seq2seq_reversed", "seq2seq", kPlain},
                             {"seq2seq_attention", "seq2seq_attention", kPlain},
                             {"seq2seq_attention_tied", "seq2seq_attention", kPlain}};
    all[0].options.layers = all[1].options.layers = 2;
    all[1].options.reverse_source = true;
    all[3].options.tie_embedding = true;
    return all;
  }();
  return kCases;
}

std::shared_ptr<TranslationModel> generated_model(const Case& c) {
  const auto model = find_translation_model(c.model)->make(kSizes, c.options, 1);
  model->to(at::kDouble);
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : model->tensors()) {
    tensor.copy_(generated("input." + c.name + "." + key, tensor.sizes().vec()) / 4);
  }
  return model;
}

at::Tensor features_of(TranslationModel& model) {
  const auto state = model.encode(make_sentence_batch(kSource));
  return model.features(state, make_sentence_batch(kInputs).tokens).flatten(0, 1);
}

// Of the target's tokens only.
at::Tensor loss_of(TranslationModel& model) {
  const at::Tensor targets = make_sentence_batch(kTargets).tokens.flatten();
  const at::Tensor positions = targets.ne(Vocabulary::kPad).nonzero().squeeze(1);
  return losses::cross_entropy(model.logits(features_of(model).index_select(0, positions)),
                               targets.index_select(0, positions), kSmoothing);
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

at::Tensor wanted(const Case& c, const std::string& name) {
  static const Weights file = read_weights(std::filesystem::path(STRIATE_SOURCE_DIR) /
                                           "tests/reference/translation.safetensors");
  return file.tensors.at(c.name + "/" + name);
}

class EveryTranslationModel : public testing::TestWithParam<Case> {};

TEST_P(EveryTranslationModel, ComputesWhatPyTorchComputes) {
  const Case& c = GetParam();
  const auto model = generated_model(c);
  const at::Tensor logits = model->logits(features_of(*model));
  EXPECT_LT(distance(logits, wanted(c, "logits").flatten(0, 1)), kRounding);
  const at::Tensor loss = loss_of(*model);
  EXPECT_NEAR(loss.item<double>(), wanted(c, "loss").item<double>(), kRounding);
  torch::autograd::backward({loss}, {});
  for (const auto& [key, tensor] : model->tensors()) {
    EXPECT_LT(distance(tensor.grad(), wanted(c, "grad/" + key)), kRounding) << key;
  }
}

TEST_P(EveryTranslationModel, HasTheGradientOfFiniteDifferences) {
  const auto model = generated_model(GetParam());
  torch::autograd::backward({loss_of(*model)}, {});
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : model->tensors()) {
    double* const values = tensor.data_ptr<double>();
    for (int64_t i = 0; i < tensor.numel(); i += 11) {
      const double before = values[i];
      values[i] = before + kDifferenceStep;
      const double above = loss_of(*model).item<double>();
      values[i] = before - kDifferenceStep;
      const double below = loss_of(*model).item<double>();
      values[i] = before;
      EXPECT_NEAR(tensor.grad().view(-1)[i].item<double>(), (above - below) / (2 * kDifferenceStep),
                  kDifferenceTolerance)
          << key << " " << i;
    }
  }
}

TEST_P(EveryTranslationModel, StepByStepSaysTheSameAsAllAtOnce) {
  const Case& c = GetParam();
  const auto model = generated_model(c);
  const at::Tensor inputs = make_sentence_batch(kInputs).tokens;
  auto state = model->encode(make_sentence_batch(kSource));
  for (int64_t t = 0; t < inputs.size(0); ++t) {
    const DecoderStep step = model->step(inputs[t], state);
    state = step.state;
    EXPECT_LT(distance(step.log_probabilities, wanted(c, "logits")[t].log_softmax(1)), kRounding);
    if (!step.attention.defined()) continue;
    EXPECT_LT(distance(step.attention, wanted(c, "attention").select(1, t)), kRounding);
  }
}

TEST_P(EveryTranslationModel, ASentenceIsReadAsIfItWereAlone) {
  const auto model = generated_model(GetParam());
  const at::Tensor begin = at::full({1}, Vocabulary::kBegin, at::kLong);
  const auto together = model->encode(make_sentence_batch(kSource));
  const DecoderStep all = model->step(begin.expand({3}), together);
  for (int64_t n = 0; n < 3; ++n) {
    const std::vector<std::vector<int64_t>> own = {kSource[static_cast<size_t>(n)]};
    const DecoderStep alone = model->step(begin, model->encode(make_sentence_batch(own)));
    EXPECT_LT(distance(all.log_probabilities[n], alone.log_probabilities[0]), kRounding);
  }
}

TEST_P(EveryTranslationModel, DropsInTrainingOnly) {
  Case c = GetParam();
  c.options.dropout = 0.5;
  const auto model = generated_model(c);
  model->eval();
  EXPECT_TRUE(loss_of(*model).equal(loss_of(*model)));
  model->train();
  EXPECT_FALSE(loss_of(*model).equal(loss_of(*model)));
}

TEST_P(EveryTranslationModel, TheSameSeedGivesTheSameWeightsAndNoTwoPartsStartAlike) {
  const Case& c = GetParam();
  const TranslationEntry& entry = *find_translation_model(c.model);
  const NamedTensors a = entry.make(kSizes, c.options, 1)->tensors();
  const NamedTensors b = entry.make(kSizes, c.options, 1)->tensors();
  const NamedTensors other = entry.make(kSizes, c.options, 2)->tensors();
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(a[i].second.equal(b[i].second)) << a[i].first;
    const bool zeros = a[i].first == "output.bias";
    EXPECT_EQ(a[i].second.equal(other[i].second), zeros) << a[i].first;
    for (size_t k = 0; k < i; ++k) {
      EXPECT_FALSE(a[i].second.equal(a[k].second)) << a[i].first << " " << a[k].first;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, EveryTranslationModel, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

TEST(TranslationModel, RefusesOptionsThatAreOfTheOtherModel) {
  EXPECT_THROW(
      make_seq2seq(kSizes, {.embedding_size = 6, .hidden_size = 5, .tie_embedding = true}, 1),
      std::invalid_argument);
  EXPECT_THROW(
      make_seq2seq_attention(kSizes, {.embedding_size = 6, .hidden_size = 5, .layers = 2}, 1),
      std::invalid_argument);
  EXPECT_THROW(make_seq2seq_attention(
                   kSizes, {.embedding_size = 6, .hidden_size = 5, .reverse_source = true}, 1),
               std::invalid_argument);
  EXPECT_EQ(find_translation_model("seq2sek"), nullptr);
}

TEST(TranslationModel, SentencesOfABatchStandBesideEachOther) {
  const SentenceBatch batch = make_sentence_batch(kInputs);
  EXPECT_EQ(batch.lengths, (std::vector<int64_t>{3, 5, 2}));
  EXPECT_TRUE(
      batch.tokens.equal(at::tensor({2, 2, 2, 4, 6, 5, 5, 7, 0, 0, 8, 0, 0, 4, 0}).view({5, 3})));
}

}  // namespace
}  // namespace striate
