// Sequence to Sequence Learning with Neural Networks. I. Sutskever, O. Vinyals, Q. V. Le, 2014.
// https://arxiv.org/abs/1409.3215
// Departures: a sentence's score can be normalised by its length.
#include "striate/sequence/beam_search.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "striate/base/error.h"
#include "striate/sequence/vocabulary.h"

namespace striate {

namespace {

// A sentence that goes on.
struct Sentence {
  int64_t input = 0;
  std::vector<int64_t> tokens;
  double log_probability = 0;
  std::vector<at::Tensor> attention;  // (L) for each token
};

// A sentence and one of its likely next tokens.
struct Candidate {
  int64_t row = 0;  // of the sentence in the batch
  int64_t token = 0;
  double log_probability = 0;  // of the whole
};

void check(const BeamOptions& o, const std::vector<at::Tensor>& state) {
  if (o.beams < 1) throw std::invalid_argument(fmt::format("a search with {} beams", o.beams));
  if (o.longest < 1) {
    throw std::invalid_argument(fmt::format("sentences of at most {} tokens", o.longest));
  }
  if (!(o.length_exponent >= 0) || !std::isfinite(o.length_exponent)) {
    throw std::invalid_argument(
        fmt::format("a length exponent must be at least 0, got {}", o.length_exponent));
  }
  if (state.empty()) throw std::invalid_argument("a search begins with a decoder's state");
}

class Search {
 public:
  Search(const Decode& decode, std::vector<at::Tensor> state, const BeamOptions& options)
      : decode_(decode), options_(options), state_(std::move(state)) {
    const int64_t inputs = state_.front().size(0);
    found_.resize(static_cast<size_t>(inputs));
    for (int64_t input = 0; input < inputs; ++input) going_.push_back({.input = input});
  }

  std::vector<std::vector<Hypothesis>> run() {
    for (int64_t length = 1; length <= options_.longest && !going_.empty(); ++length) step();
    for (Sentence& sentence : going_) finish(std::move(sentence), /*ended=*/false);
    for (auto& hypotheses : found_) {
      std::ranges::stable_sort(hypotheses, std::ranges::greater{}, &Hypothesis::score);
    }
    return std::move(found_);
  }

 private:
  void step() {
    DecoderStep out = decode_(last_tokens(), state_);
    attention_ = out.attention.defined() ? out.attention.to(at::kCPU) : out.attention;
    std::vector<Sentence> next;
    std::vector<int64_t> origins;
    for (const std::vector<Candidate>& beam : candidates(out.log_probabilities)) {
      for (const Candidate& candidate : beam) {
        Sentence sentence = extended(candidate);
        if (candidate.token == Vocabulary::kEnd) {
          finish(std::move(sentence), /*ended=*/true);
        } else {
          next.push_back(std::move(sentence));
          origins.push_back(candidate.row);
        }
      }
    }
    going_ = std::move(next);
    state_ = std::move(out.state);
    reorder(origins);
  }

  at::Tensor last_tokens() const {
    std::vector<int64_t> tokens;
    for (const Sentence& sentence : going_) {
      tokens.push_back(sentence.tokens.empty() ? Vocabulary::kBegin : sentence.tokens.back());
    }
    return at::tensor(tokens, at::kLong).to(state_.front().device());
  }

  // The best of each input, as many as its beam is still wide.
  std::vector<std::vector<Candidate>> candidates(const at::Tensor& log_probabilities) const {
    constexpr double kNever = -std::numeric_limits<double>::infinity();
    const at::Tensor forbidden =
        at::tensor({Vocabulary::kPad, Vocabulary::kUnknown, Vocabulary::kBegin}, at::kLong)
            .to(log_probabilities.device());
    const int64_t most = std::min(options_.beams, log_probabilities.size(1));
    const auto [top, chosen] = log_probabilities.index_fill(1, forbidden, kNever).topk(most, 1);
    const at::Tensor values = top.to(at::kCPU, at::kDouble).contiguous();
    const at::Tensor tokens = chosen.to(at::kCPU).contiguous();
    const double* value = values.data_ptr<double>();
    const int64_t* token = tokens.data_ptr<int64_t>();

    std::vector<std::vector<Candidate>> beams(found_.size());
    for (size_t row = 0; row < going_.size(); ++row) {
      auto& beam = beams[static_cast<size_t>(going_[row].input)];
      for (int64_t k = 0; k < most; ++k, ++value, ++token) {
        if (std::isnan(*value)) throw Error("a decoder's probabilities are not numbers");
        if (*value == kNever) continue;
        beam.push_back({.row = static_cast<int64_t>(row),
                        .token = *token,
                        .log_probability = going_[row].log_probability + *value});
      }
    }
    for (size_t input = 0; input < beams.size(); ++input) {
      const auto width = static_cast<size_t>(options_.beams) - found_[input].size();
      std::ranges::stable_sort(beams[input], std::ranges::greater{}, &Candidate::log_probability);
      if (beams[input].size() > width) beams[input].resize(width);
    }
    return beams;
  }

  Sentence extended(const Candidate& candidate) const {
    Sentence sentence = going_[static_cast<size_t>(candidate.row)];
    sentence.tokens.push_back(candidate.token);
    sentence.log_probability = candidate.log_probability;
    if (attention_.defined()) sentence.attention.push_back(attention_[candidate.row]);
    return sentence;
  }

  void finish(Sentence sentence, bool ended) {
    const double length =
        std::pow(static_cast<double>(sentence.tokens.size()), options_.length_exponent);
    Hypothesis hypothesis{.score = sentence.log_probability / length};
    const size_t kept = sentence.tokens.size() - (ended ? 1 : 0);
    hypothesis.tokens.assign(sentence.tokens.begin(),
                             sentence.tokens.begin() + static_cast<std::ptrdiff_t>(kept));
    if (!sentence.attention.empty()) {
      hypothesis.attention = at::stack(sentence.attention).slice(0, 0, static_cast<int64_t>(kept));
    }
    found_[static_cast<size_t>(sentence.input)].push_back(std::move(hypothesis));
  }

  // Brings the state's rows into the order of the sentences that go on.
  void reorder(const std::vector<int64_t>& origins) {
    std::vector<int64_t> same(static_cast<size_t>(state_.front().size(0)));
    std::iota(same.begin(), same.end(), int64_t{0});
    if (origins == same) return;
    const at::Tensor order = at::tensor(origins, at::kLong).to(state_.front().device());
    for (at::Tensor& part : state_) part = part.index_select(0, order);
  }

  const Decode& decode_;
  const BeamOptions options_;
  std::vector<at::Tensor> state_;
  at::Tensor attention_;         // of the last step
  std::vector<Sentence> going_;  // one for each row of the state
  std::vector<std::vector<Hypothesis>> found_;
};

}  // namespace

std::vector<std::vector<Hypothesis>> beam_search(const Decode& decode,
                                                 const std::vector<at::Tensor>& state,
                                                 const BeamOptions& options) {
  check(options, state);
  at::NoGradGuard no_grad;
  return Search(decode, state, options).run();
}

}  // namespace striate
