#include "striate/sequence/beam_search.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/generated.h"
#include "striate/base/error.h"
#include "striate/sequence/vocabulary.h"

namespace striate {
namespace {

constexpr double kRounding = 1e-12;  // float64
constexpr int64_t kInputs = 3, kVocabulary = 7, kLength = 4;

// A decoder whose state is the probabilities of each token after each, another table for each
// input, and the number of tokens before: the later, the likelier the end. It looks at the input's
// number and at the token before.
DecoderStep decode(const at::Tensor& tokens, const std::vector<at::Tensor>& state) {
  const at::Tensor rows = at::arange(tokens.size(0));
  const at::Tensor end = at::one_hot(at::tensor({Vocabulary::kEnd}), kVocabulary);
  const at::Tensor logits = state[0].index({rows, tokens}) + state[1].unsqueeze(1) * end;
  return {.log_probabilities = logits.log_softmax(1),
          .state = {state[0], state[1] + 1, state[2]},
          .attention = at::stack({state[2], tokens.to(at::kDouble)}, 1)};
}

std::vector<at::Tensor> first_state() {
  return {generated("input.beam.table", {kInputs, kVocabulary, kVocabulary}).to(at::kDouble),
          at::full({kInputs}, -1.0, at::kDouble), at::arange(kInputs).to(at::kDouble)};
}

std::vector<at::Tensor> state_of(int64_t input) {
  std::vector<at::Tensor> state;
  for (const at::Tensor& part : first_state()) state.push_back(part.slice(0, input, input + 1));
  return state;
}

double normalised(double sum, int64_t length, double exponent) {
  return sum / std::pow(static_cast<double>(length), exponent);
}

// Every sentence there can be.
void add_all(std::vector<Hypothesis>& all, const Hypothesis& begun,
             const std::vector<at::Tensor>& state, double exponent) {
  const int64_t last = begun.tokens.empty() ? Vocabulary::kBegin : begun.tokens.back();
  const DecoderStep step = decode(at::tensor({last}), state);
  const auto length = static_cast<int64_t>(begun.tokens.size()) + 1;
  for (int64_t token = Vocabulary::kEnd; token < kVocabulary; ++token) {
    Hypothesis next = begun;
    next.score += step.log_probabilities[0][token].item<double>();
    if (token != Vocabulary::kEnd) next.tokens.push_back(token);
    if (token != Vocabulary::kEnd && length < kLength) {
      add_all(all, next, step.state, exponent);
    } else {
      next.score = normalised(next.score, length, exponent);
      all.push_back(next);
    }
  }
}

TEST(BeamSearch, FindsWhatTryingEverythingFinds) {
  for (const double exponent : {0.0, 0.7}) {
    const auto found = beam_search(
        decode, first_state(), {.beams = 1000, .longest = kLength, .length_exponent = exponent});
    ASSERT_EQ(found.size(), kInputs);
    for (int64_t input = 0; input < kInputs; ++input) {
      std::vector<Hypothesis> all;
      add_all(all, {}, state_of(input), exponent);
      std::ranges::sort(all, std::ranges::greater{}, &Hypothesis::score);
      const auto& hypotheses = found[static_cast<size_t>(input)];
      ASSERT_EQ(hypotheses.size(), all.size());  // 1 + 3 + 9 + 27 that end and 81 that do not
      EXPECT_EQ(all.size(), 121);
      for (size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(hypotheses[i].tokens, all[i].tokens) << input << " " << i;
        EXPECT_NEAR(hypotheses[i].score, all[i].score, kRounding);
      }
    }
  }
}

TEST(BeamSearch, WithOneBeamTakesTheLikeliestTokenEachTime) {
  const auto found = beam_search(decode, first_state(), {.beams = 1, .longest = kLength});
  for (int64_t input = 0; input < kInputs; ++input) {
    std::vector<at::Tensor> state = state_of(input);
    std::vector<int64_t> tokens;
    int64_t last = Vocabulary::kBegin;
    double sum = 0;
    for (int64_t t = 0; t < kLength; ++t) {
      DecoderStep step = decode(at::tensor({last}), state);
      state = step.state;
      step.log_probabilities.slice(1, 0, Vocabulary::kEnd).fill_(-1e9);
      last = step.log_probabilities.argmax(1).item<int64_t>();
      sum += step.log_probabilities[0][last].item<double>();
      if (last == Vocabulary::kEnd) break;
      tokens.push_back(last);
    }
    ASSERT_EQ(found[static_cast<size_t>(input)].size(), 1);
    EXPECT_EQ(found[static_cast<size_t>(input)][0].tokens, tokens);
    EXPECT_NEAR(found[static_cast<size_t>(input)][0].score, sum, kRounding);
  }
}

TEST(BeamSearch, EachInputIsSearchedAsIfItWereAlone) {
  const BeamOptions options{.beams = 3, .longest = kLength, .length_exponent = 1};
  const auto together = beam_search(decode, first_state(), options);
  for (int64_t input = 0; input < kInputs; ++input) {
    const auto alone = beam_search(decode, state_of(input), options)[0];
    const auto& found = together[static_cast<size_t>(input)];
    ASSERT_EQ(found.size(), alone.size());
    for (size_t i = 0; i < alone.size(); ++i) {
      EXPECT_EQ(found[i].tokens, alone[i].tokens);
      EXPECT_NEAR(found[i].score, alone[i].score, kRounding);
      EXPECT_TRUE(found[i].attention.equal(alone[i].attention));
    }
  }
}

TEST(BeamSearch, KeepsWhereEachTokenLooked) {
  const auto found = beam_search(decode, first_state(), {.beams = 4, .longest = kLength});
  for (size_t input = 0; input < found.size(); ++input) {
    for (const Hypothesis& hypothesis : found[input]) {
      const auto length = static_cast<int64_t>(hypothesis.tokens.size());
      ASSERT_EQ(hypothesis.attention.sizes(), at::IntArrayRef({length, 2}));
      for (int64_t t = 0; t < length; ++t) {
        const int64_t before =
            t == 0 ? Vocabulary::kBegin : hypothesis.tokens[static_cast<size_t>(t) - 1];
        EXPECT_EQ(hypothesis.attention[t][0].item<double>(), static_cast<double>(input));
        EXPECT_EQ(hypothesis.attention[t][1].item<double>(), static_cast<double>(before));
      }
    }
  }
}

// The first token ends the sentence with probability 0.4; else two words follow that are certain.
DecoderStep short_or_long(const at::Tensor& tokens, const std::vector<at::Tensor>& state) {
  const at::Tensor p = at::zeros({tokens.size(0), kVocabulary}, at::kDouble);
  for (int64_t row = 0; row < tokens.size(0); ++row) {
    switch (tokens[row].item<int64_t>()) {
      case Vocabulary::kBegin:
        p[row][Vocabulary::kEnd] = 0.4;
        p[row][4] = 0.35;
        p[row][5] = 0.25;
        break;
      case 6:
        p[row][Vocabulary::kEnd] = 1;
        break;
      default:
        p[row][6] = 1;
    }
  }
  return {.log_probabilities = p.log(), .state = state, .attention = {}};
}

TEST(BeamSearch, NormalisingByLengthPrefersLongerSentences) {
  const std::vector<at::Tensor> state = {at::zeros({1})};
  const auto plain = beam_search(short_or_long, state, {.beams = 3, .longest = 9})[0];
  EXPECT_EQ(plain.front().tokens, std::vector<int64_t>{});
  EXPECT_NEAR(plain.front().score, std::log(0.4), kRounding);
  EXPECT_FALSE(plain.front().attention.defined());
  const auto fair =
      beam_search(short_or_long, state, {.beams = 3, .longest = 9, .length_exponent = 1})[0];
  EXPECT_EQ(fair.front().tokens, (std::vector<int64_t>{4, 6}));
  EXPECT_NEAR(fair.front().score, std::log(0.35) / 3, kRounding);
  EXPECT_EQ(fair.size(), 3);
}

TEST(BeamSearch, NeverProducesWhatIsNoWord) {
  const auto eager = [](const at::Tensor& tokens, const std::vector<at::Tensor>& state) {
    at::Tensor p = at::full({tokens.size(0), kVocabulary}, -9.0);
    for (const int64_t token : {Vocabulary::kPad, Vocabulary::kUnknown, Vocabulary::kBegin}) {
      p.select(1, token).fill_(-0.1);
    }
    return DecoderStep{.log_probabilities = p, .state = state, .attention = {}};
  };
  const auto found = beam_search(eager, {at::zeros({2})}, {.beams = 5, .longest = 3});
  for (const auto& hypotheses : found) {
    EXPECT_EQ(hypotheses.size(), 5);
    for (const Hypothesis& hypothesis : hypotheses) {
      for (const int64_t token : hypothesis.tokens) EXPECT_GT(token, Vocabulary::kEnd);
    }
  }
}

TEST(BeamSearch, RefusesImpossibleOptionsAndNumbersThatAreNone) {
  const auto state = first_state();
  EXPECT_THROW(beam_search(decode, state, {.beams = 0}), std::invalid_argument);
  EXPECT_THROW(beam_search(decode, state, {.longest = 0}), std::invalid_argument);
  EXPECT_THROW(beam_search(decode, state, {.length_exponent = -1}), std::invalid_argument);
  EXPECT_THROW(beam_search(decode, {}, {}), std::invalid_argument);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(beam_search(decode, {state[0] * nan, state[1], state[2]}, {}), Error);
}

}  // namespace
}  // namespace striate
