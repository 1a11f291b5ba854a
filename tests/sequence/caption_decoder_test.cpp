// Decoders of captions against plain PyTorch (tests/reference/README.md), finite differences,
// themselves, and hard attention's gradient against the exact one.
#include "striate/sequence/caption_decoder.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <filesystem>

#include "models/generated.h"
#include "striate/base/error.h"
#include "striate/sequence/captioner.h"
#include "striate/sequence/sentence_batch.h"

namespace striate {
namespace {

constexpr double kRounding = 1e-12;  // float64 on both sides; sums in another order
// Of a central difference with this step, in float64: its own error is of the order of step².
constexpr double kDifferenceStep = 1e-5;
constexpr double kDifferenceTolerance = 1e-8;

// tools/reference/captioning.py has the same.
constexpr CaptionSizes kSizes = {.vocabulary = 9, .feature_size = 6};
constexpr CaptionDecoderOptions kOptions = {
    .embedding_size = 5, .hidden_size = 7, .attention_size = 3};
constexpr int64_t kPlaces = 4;
constexpr double kPenalty = 0.5;
const std::vector<std::vector<int64_t>> kTargets = {{4, 5, 3}, {6, 7, 8, 4, 3}, {5, 3}};
const std::vector<std::vector<int64_t>> kInputs = {{2, 4, 5}, {2, 6, 7, 8, 4}, {2, 5}};

at::Tensor looked_at() {
  return at::tensor({0, 1, 2, 3, 2, 1, 1, 1, 0, 2, 0, 3, 0, 3, 1}, at::kLong).view({5, 3});
}

struct Case {
  std::string name;
  std::string model;
  Looking looking;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

std::vector<Case> cases() {
  return {{"show_tell", "show_tell", {}},
          {"show_attend_tell", "show_attend_tell", {}},
          {"show_attend_tell_hard",
           "show_attend_tell",
           {.kind = Looking::Kind::kGiven, .places = looked_at()}}};
}

std::shared_ptr<CaptionDecoder> generated_decoder(const Case& c) {
  const auto decoder = find_captioner(c.model)->make(kSizes, kOptions, 1);
  decoder->to(at::kDouble);
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : decoder->tensors()) {
    tensor.copy_(generated("input." + c.name + "." + key, tensor.sizes().vec()) / 4);
  }
  return decoder;
}

at::Tensor features() {
  return generated("input.features", {3, kPlaces, kSizes.feature_size}).to(at::kDouble);
}

at::Tensor mask() {
  return make_sentence_batch(kTargets).tokens.ne(0);
}

struct Pass {
  CaptionOutput output;
  at::Tensor log_words;  // (N)
  at::Tensor objective;  // as the script has it
};

Pass run(CaptionDecoder& decoder, const Case& c) {
  const at::Tensor targets = make_sentence_batch(kTargets).tokens;
  Pass pass{.output = decoder.forward(features(), make_sentence_batch(kInputs).tokens, c.looking),
            .log_words = {},
            .objective = {}};
  const at::Tensor log_p =
      pass.output.logits.log_softmax(2).gather(2, targets.unsqueeze(2)).squeeze(2);
  pass.log_words = (log_p * mask()).sum(0);
  pass.objective = pass.log_words.sum();
  if (c.name == "show_attend_tell") {
    pass.objective =
        pass.objective - kPenalty * doubly_stochastic_penalty(pass.output.attention, mask()).sum();
  }
  if (c.name == "show_attend_tell_hard") {
    pass.objective =
        reinforced(pass.log_words, log_of_places(pass.output, mask()), /*baseline=*/0).sum();
  }
  return pass;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

at::Tensor wanted(const Case& c, const std::string& name) {
  static const Weights file = read_weights(std::filesystem::path(STRIATE_SOURCE_DIR) /
                                           "tests/reference/captioning.safetensors");
  return file.tensors.at(c.name + "/" + name);
}

class EveryCaptionDecoder : public testing::TestWithParam<Case> {};

TEST_P(EveryCaptionDecoder, ComputesWhatPyTorchComputes) {
  const Case c = GetParam();
  const auto decoder = generated_decoder(c);
  const Pass pass = run(*decoder, c);
  EXPECT_LT(distance(pass.output.logits, wanted(c, "logits")), kRounding);
  EXPECT_LT(distance(pass.log_words, wanted(c, "log_words")), kRounding);
  if (pass.output.attention.defined()) {
    EXPECT_LT(distance(pass.output.attention, wanted(c, "attention")), kRounding);
  }
  if (c.name == "show_attend_tell") {
    EXPECT_LT(
        distance(doubly_stochastic_penalty(pass.output.attention, mask()), wanted(c, "penalty")),
        kRounding);
  }
  if (c.name == "show_attend_tell_hard") {
    EXPECT_LT(distance(log_of_places(pass.output, mask()), wanted(c, "log_places")), kRounding);
  }
  torch::autograd::backward({pass.objective}, {});
  for (const auto& [key, tensor] : decoder->tensors()) {
    EXPECT_LT(distance(tensor.grad(), wanted(c, "grad/" + key)), kRounding) << key;
  }
}

// The hard one's objective has a constant in it that moves: its gradient is no derivative of it.
TEST_P(EveryCaptionDecoder, HasTheGradientOfFiniteDifferences) {
  const Case c = GetParam();
  if (c.looking.kind == Looking::Kind::kGiven) GTEST_SKIP() << "tested by its expectation";
  const auto decoder = generated_decoder(c);
  torch::autograd::backward({run(*decoder, c).objective}, {});
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : decoder->tensors()) {
    double* const values = tensor.data_ptr<double>();
    for (int64_t i = 0; i < tensor.numel(); i += 11) {
      const double before = values[i];
      values[i] = before + kDifferenceStep;
      const double above = run(*decoder, c).objective.item<double>();
      values[i] = before - kDifferenceStep;
      const double below = run(*decoder, c).objective.item<double>();
      values[i] = before;
      EXPECT_NEAR(tensor.grad().view(-1)[i].item<double>(), (above - below) / (2 * kDifferenceStep),
                  kDifferenceTolerance)
          << key << " " << i;
    }
  }
}

TEST_P(EveryCaptionDecoder, StepByStepSaysTheSameAsAllAtOnce) {
  Case c = GetParam();
  const auto decoder = generated_decoder(c);
  if (c.looking.kind == Looking::Kind::kGiven) c.looking = {.kind = Looking::Kind::kMost};
  const CaptionOutput all =
      decoder->forward(features(), make_sentence_batch(kInputs).tokens, c.looking);
  const at::Tensor inputs = make_sentence_batch(kInputs).tokens;
  std::vector<at::Tensor> state = decoder->start(features());
  for (int64_t t = 0; t < inputs.size(0); ++t) {
    const DecoderStep step = decoder->step(inputs[t], state, c.looking);
    state = step.state;
    EXPECT_LT(distance(step.log_probabilities, all.logits[t].log_softmax(1)), kRounding);
    if (!step.attention.defined()) continue;
    EXPECT_LT(distance(step.attention, all.attention[t]), kRounding);
  }
}

INSTANTIATE_TEST_SUITE_P(Captions, EveryCaptionDecoder, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

// One caption of two words over three places: all nine ways to look can be gone through.
class HardAttention : public testing::Test {
 protected:
  static constexpr int64_t kWays = 9;

  HardAttention() {
    decoder_ = make_show_attend_tell(kSizes, kOptions, 1);
    decoder_->to(at::kDouble);
    at::NoGradGuard no_grad;
    for (const auto& [key, tensor] : decoder_->tensors()) {
      tensor.copy_(generated("input.hard." + key, tensor.sizes().vec()));
    }
    features_ = generated("input.hard.features", {1, 3, kSizes.feature_size}).to(at::kDouble);
  }

  struct Way {
    at::Tensor log_words;   // (1)
    at::Tensor log_places;  // (1)
  };
  Way look(int64_t way) {
    const Looking looking{.kind = Looking::Kind::kGiven,
                          .places = at::tensor({way / 3, way % 3}, at::kLong).view({2, 1})};
    const CaptionOutput output =
        decoder_->forward(features_, at::tensor({2, 4}, at::kLong).view({2, 1}), looking);
    const at::Tensor targets = at::tensor({4, 3}, at::kLong).view({2, 1, 1});
    return {.log_words = output.logits.log_softmax(2).gather(2, targets).sum({0, 2}),
            .log_places = log_of_places(output, at::ones({2, 1}, at::kBool))};
  }

  // Of all weights, in one row.
  at::Tensor gradient_of(const at::Tensor& objective) {
    for (const auto& [key, tensor] : decoder_->tensors()) tensor.mutable_grad().reset();
    torch::autograd::backward({objective}, {});
    std::vector<at::Tensor> parts;
    for (const auto& [key, tensor] : decoder_->tensors()) {
      parts.push_back(tensor.grad().defined() ? tensor.grad().flatten().clone()
                                              : at::zeros_like(tensor).flatten());
    }
    return at::cat(parts);
  }

  // The derivative of the sum over s of p(s) log p(y | s), by itself.
  at::Tensor exact() {
    at::Tensor mean = at::zeros({1}, at::kDouble);
    for (int64_t way = 0; way < kWays; ++way) {
      const Way w = look(way);
      mean = mean + w.log_places.exp() * w.log_words;
    }
    return gradient_of(mean.sum());
  }

  // What the estimator gives on average, and the sum of its variances.
  std::pair<at::Tensor, double> estimated(double baseline) {
    at::Tensor mean;
    double square = 0;
    for (int64_t way = 0; way < kWays; ++way) {
      const Way w = look(way);
      const double p = w.log_places.exp().item<double>();
      const at::Tensor gradient =
          gradient_of(reinforced(w.log_words, w.log_places, baseline).sum());
      mean = mean.defined() ? mean + p * gradient : p * gradient;
      square += p * gradient.square().sum().item<double>();
    }
    return {mean, square - mean.square().sum().item<double>()};
  }

  double mean_of_log_words() {
    at::NoGradGuard no_grad;
    double mean = 0;
    for (int64_t way = 0; way < kWays; ++way) {
      const Way w = look(way);
      mean += (w.log_places.exp() * w.log_words).item<double>();
    }
    return mean;
  }

  std::shared_ptr<CaptionDecoder> decoder_;
  at::Tensor features_;
};

TEST_F(HardAttention, ItsGradientIsTheExactOneOnAverageWhateverTheBaseline) {
  const at::Tensor wanted = exact();
  EXPECT_GT(wanted.abs().max().item<double>(), 0.01);
  for (const double baseline : {0.0, -3.0, 10.0, mean_of_log_words()}) {
    EXPECT_LT(distance(estimated(baseline).first, wanted), 1e-10) << baseline;
  }
}

TEST_F(HardAttention, TheBaselineLowersTheVariance) {
  const double without = estimated(0).second;
  const double with = estimated(mean_of_log_words()).second;
  EXPECT_GT(with, 0);
  EXPECT_LT(with, 0.5 * without);
}

TEST_F(HardAttention, PlacesAreDrawnAsLikelyAsTheirShares) {
  at::manual_seed(1);
  constexpr int64_t kDraws = 4000;
  const at::Tensor words = at::full({1, kDraws}, 2, at::kLong);
  const at::Tensor many = features_.expand({kDraws, 3, kSizes.feature_size});
  at::NoGradGuard no_grad;
  const CaptionOutput drawn =
      decoder_->forward(many, words, {.kind = Looking::Kind::kDrawn, .coin = 0, .places = {}});
  EXPECT_TRUE(drawn.drawn.front());
  EXPECT_LT(distance(drawn.looked_at.sum(2), at::ones({1, kDraws}, at::kDouble)), kRounding);
  const at::Tensor shares = drawn.attention[0][0];
  const at::Tensor frequencies = drawn.looked_at[0].mean(0);
  // Four standard deviations of the largest share's frequency.
  EXPECT_LT(distance(frequencies, shares), 4 * 0.5 / std::sqrt(static_cast<double>(kDraws)));
  const CaptionOutput all =
      decoder_->forward(many, words, {.kind = Looking::Kind::kDrawn, .coin = 1, .places = {}});
  EXPECT_FALSE(all.drawn.front());
  EXPECT_EQ(distance(all.looked_at, all.attention), 0);
}

}  // namespace
}  // namespace striate
