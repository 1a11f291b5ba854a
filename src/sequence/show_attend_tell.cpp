// Show, Attend and Tell: Neural Image Caption Generation with Visual Attention. K. Xu et al., 2015.
// https://arxiv.org/abs/1502.03044
// Both networks that begin a caption's state have one layer, as in the authors' program.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/multinomial.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/stack.h>

#include <stdexcept>

#include "runtime/dropout.h"
#include "sequence/linear.h"
#include "striate/sequence/additive_attention.h"
#include "striate/sequence/caption_decoder.h"
#include "striate/sequence/recurrent.h"

namespace striate {

namespace {

class ShowAttendTell final : public CaptionDecoder {
 public:
  ShowAttendTell(const CaptionSizes& sizes, const CaptionDecoderOptions& options, uint64_t seed)
      : dropout_(options.dropout),
        embedding_(add_parameter(*this, "embedding.weight",
                                 {sizes.vocabulary, options.embedding_size}, kEmbeddingRange,
                                 seed)),
        first_h_(add_linear(*this, "first_h", {sizes.feature_size, options.hidden_size}, seed)),
        first_c_(add_linear(*this, "first_c", {sizes.feature_size, options.hidden_size}, seed)),
        attention_(register_module(
            "attention", std::make_shared<AdditiveAttention>(
                             AdditiveAttentionOptions{.query_size = options.hidden_size,
                                                      .value_size = sizes.feature_size,
                                                      .attention_size = options.attention_size},
                             seed))),
        gate_(add_linear(*this, "gate", {options.hidden_size, 1}, seed)),
        lstm_(register_module(
            "lstm", std::make_shared<Recurrent>(
                        RecurrentOptions{.cell = Cell::kLstm,
                                         .input_size = options.embedding_size + sizes.feature_size,
                                         .hidden_size = options.hidden_size},
                        seed))),
        of_state_(
            add_linear(*this, "of_state", {options.hidden_size, options.embedding_size}, seed)),
        of_context_(
            add_linear(*this, "of_context", {sizes.feature_size, options.embedding_size}, seed)),
        output_(add_linear(*this, "output", {options.embedding_size, sizes.vocabulary}, seed)) {}

  CaptionOutput forward(const at::Tensor& features, const at::Tensor& words,
                        const Looking& looking) override {
    const at::Tensor embedded = dropped(at::embedding(embedding_, words));  // (T, N, E)
    const at::Tensor keys = attention_->keys(features);
    RecurrentState state = first_state(features);
    std::vector<at::Tensor> attention;
    std::vector<at::Tensor> looked_at;
    std::vector<at::Tensor> contexts;
    std::vector<at::Tensor> states;
    CaptionOutput output;
    for (int64_t t = 0; t < words.size(0); ++t) {
      const at::Tensor shares = attention_->weights(state.h, keys);
      output.drawn.push_back(looking.kind == Looking::Kind::kGiven || draws(looking));
      const at::Tensor used = output.drawn.back() ? one_place(shares, looking, t) : shares;
      const at::Tensor context = context_of(used, features, state.h);
      state = lstm_step(at::cat({embedded[t], context}, 1), state, lstm_->weights(0));
      attention.push_back(shares);
      looked_at.push_back(used);
      contexts.push_back(context);
      states.push_back(state.h);
    }
    output.attention = at::stack(attention);
    output.looked_at = at::stack(looked_at);
    output.logits = logits_of(embedded, at::stack(states), at::stack(contexts));
    return output;
  }

  std::vector<at::Tensor> start(const at::Tensor& features) override {
    const RecurrentState state = first_state(features);
    return {state.h, state.c, features, attention_->keys(features)};
  }

  DecoderStep step(const at::Tensor& words, const std::vector<at::Tensor>& state,
                   const Looking& looking) override {
    const at::Tensor& features = state[2];
    const at::Tensor embedded = at::embedding(embedding_, words);
    const at::Tensor shares = attention_->weights(state[0], state[3]);
    const at::Tensor used =
        looking.kind == Looking::Kind::kMost ? one_place(shares, looking, 0) : shares;
    const at::Tensor context = context_of(used, features, state[0]);
    const RecurrentState next = lstm_step(at::cat({embedded, context}, 1),
                                          {.h = state[0], .c = state[1]}, lstm_->weights(0));
    return {.log_probabilities = logits_of(embedded, next.h, context).log_softmax(1),
            .state = {next.h, next.c, features, state[3]},
            .attention = shares};
  }

 private:
  RecurrentState first_state(const at::Tensor& features) const {
    const at::Tensor mean = features.mean(1);
    return {.h = first_h_(mean).tanh(), .c = first_c_(mean).tanh()};
  }

  // The vectors that are looked at, times the gate beta.
  at::Tensor context_of(const at::Tensor& used, const at::Tensor& features,
                        const at::Tensor& h) const {
    return gate_(h).sigmoid() * weighted_sum(used, features);
  }

  // exp(L_o (E y + L_h h + L_z z)), eq. 7, before the softmax.
  at::Tensor logits_of(const at::Tensor& embedded, const at::Tensor& h,
                       const at::Tensor& context) const {
    return output_(dropped(embedded + of_state_(dropped(h)) + of_context_(context)));
  }

  static bool draws(const Looking& looking) {
    return looking.kind == Looking::Kind::kMost ||
           (looking.kind == Looking::Kind::kDrawn && at::rand({}).item<double>() >= looking.coin);
  }

  // (N, L): 1 at one place, 0 elsewhere.
  static at::Tensor one_place(const at::Tensor& shares, const Looking& looking, int64_t t) {
    at::Tensor place;
    switch (looking.kind) {
      case Looking::Kind::kMost:
        place = shares.argmax(1);
        break;
      case Looking::Kind::kDrawn:
        place = at::multinomial(shares.detach(), 1).squeeze(1);
        break;
      case Looking::Kind::kGiven:
        place = looking.places[t];
        break;
      case Looking::Kind::kExpected:
        throw std::logic_error("all places are no place");
    }
    return at::one_hot(place, shares.size(1)).to(shares.scalar_type());
  }

  at::Tensor dropped(const at::Tensor& x) const {
    return striate::dropout(x, dropout_, is_training());
  }

  double dropout_;
  at::Tensor embedding_;
  LinearLayer first_h_;
  LinearLayer first_c_;
  std::shared_ptr<AdditiveAttention> attention_;
  LinearLayer gate_;
  std::shared_ptr<Recurrent> lstm_;
  LinearLayer of_state_;
  LinearLayer of_context_;
  LinearLayer output_;
};

}  // namespace

std::shared_ptr<CaptionDecoder> make_show_attend_tell(const CaptionSizes& sizes,
                                                      const CaptionDecoderOptions& options,
                                                      uint64_t seed) {
  return std::make_shared<ShowAttendTell>(sizes, options, seed);
}

at::Tensor doubly_stochastic_penalty(const at::Tensor& attention, const at::Tensor& mask) {
  const at::Tensor seen = (attention * mask.unsqueeze(2)).sum(0);  // (N, L)
  return (1 - seen).square().sum(1);
}

at::Tensor reinforced(const at::Tensor& log_words, const at::Tensor& log_places, double baseline,
                      double weight) {
  return log_words + weight * (log_words.detach() - baseline) * log_places;
}

at::Tensor log_of_places(const CaptionOutput& output, const at::Tensor& mask) {
  at::Tensor sum = output.attention.new_zeros({output.attention.size(1)});
  for (size_t t = 0; t < output.drawn.size(); ++t) {
    if (!output.drawn[t]) continue;
    const auto step = static_cast<int64_t>(t);
    const at::Tensor share = (output.attention[step] * output.looked_at[step]).sum(1);
    sum = sum + share.log() * mask[step];
  }
  return sum;
}

}  // namespace striate
