// Neural Machine Translation by Jointly Learning to Align and Translate. D. Bahdanau, K. Cho,
// Y. Bengio, 2015. https://arxiv.org/abs/1409.0473
// The output is the paper's deep output with maxout (A.2.2), of s_i as in eq. 4; A.2.2 writes
// s_{i-1}. Departures: torch.nn's GRU (recurrent.h), with its biases, and its start; a bias in the
// output layer; E for both the embeddings' size (m) and the maxout layer's (l), H for the
// alignment's (n'); dropout, and embeddings that may be tied.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tensor.h>

#include <stdexcept>

#include "sequence/parameters.h"
#include "striate/sequence/additive_attention.h"
#include "striate/sequence/recurrent.h"
#include "striate/sequence/translation_model.h"

namespace striate {

namespace {

// What was read, and the decoder's state: `encode`'s tensors by name.
struct Reading {
  at::Tensor s;             // (N, H)
  at::Tensor annotations;   // (N, L, 2 H): h_j of eq. 7
  at::Tensor keys;          // (N, L, H)
  at::Tensor contribution;  // (N, L, 3 H): of each annotation to the gates
  at::Tensor mask;          // (N, L)

  explicit Reading(const std::vector<at::Tensor>& state)
      : s(state.at(0)),
        annotations(state.at(1)),
        keys(state.at(2)),
        contribution(state.at(3)),
        mask(state.at(4)) {}
};

class Seq2seqAttention final : public TranslationModel {
 public:
  Seq2seqAttention(const TranslationModelSizes& sizes, const TranslationModelOptions& o,
                   uint64_t seed)
      : TranslationModel(o) {
    const int64_t e = o.embedding_size;
    const int64_t h = o.hidden_size;
    const auto embedding = [&](const char* key, int64_t words) {
      return add_parameter(*this, key, {words, e}, kEmbeddingRange, seed);
    };
    const auto gru = [&](const char* part, int64_t input, bool bidirectional) {
      const auto layer =
          std::make_shared<Recurrent>(RecurrentOptions{.cell = Cell::kGru,
                                                       .input_size = input,
                                                       .hidden_size = h,
                                                       .bidirectional = bidirectional},
                                      part_seed(seed, part));
      add_module(*this, std::string(part) + ".rnn", layer);
      return layer;
    };
    source_embedding_ = embedding("encoder.embedding.weight", sizes.source_vocabulary);
    encoder_ = gru("encoder", e, true);
    target_embedding_ = embedding("decoder.embedding.weight", sizes.target_vocabulary);
    start_weight_ = add_matrix(*this, "decoder.start.weight", {h, h}, seed);
    attention_ = std::make_shared<AdditiveAttention>(
        AdditiveAttentionOptions{.query_size = h, .value_size = 2 * h, .attention_size = h}, seed);
    add_module(*this, "decoder.attention", attention_);
    decoder_ = gru("decoder", e + 2 * h, false);
    maxout_weight_ = add_matrix(*this, "output.maxout.weight", {2 * e, h + e + 2 * h}, seed);
    output_weight_ = o.tie_embedding
                         ? target_embedding_
                         : add_matrix(*this, "output.weight", {sizes.target_vocabulary, e}, seed);
    output_bias_ = add_parameter(*this, "output.bias", {sizes.target_vocabulary}, 0, seed);
  }

  std::vector<at::Tensor> encode(const SentenceBatch& source) override {
    const at::Tensor words = dropped(at::embedding(source_embedding_, source.tokens));
    const RecurrentOutput read = encoder_->forward(words, source.lengths);
    const at::Tensor annotations = dropped(read.y.transpose(0, 1).contiguous());
    // s_0 = tanh(W_s h_1), h_1 being of the backward direction.
    const at::Tensor s = at::tanh(at::linear(read.state.h[1], start_weight_));
    const at::Tensor lengths = at::tensor(source.lengths, at::kLong).to(s.device()).unsqueeze(1);
    const at::Tensor mask = at::arange(annotations.size(1), lengths.options()) < lengths;
    // The gates see c_i = sum of a_ij h_j: by each h_j first, so that only the sum is of a step.
    const at::Tensor of_context = decoder_->weights(0).w_ih.slice(1, options().embedding_size);
    return {s, annotations, attention_->keys(annotations), at::linear(annotations, of_context),
            mask};
  }

  at::Tensor features(const std::vector<at::Tensor>& state, const at::Tensor& inputs) override {
    const Reading reading(state);
    const at::Tensor y = dropped(at::embedding(target_embedding_, inputs));  // (T, N, E)
    const at::Tensor of_y = product_of(y);                                   // (T, N, 3 H)
    at::Tensor s = reading.s;
    std::vector<at::Tensor> states;
    std::vector<at::Tensor> alignments;
    for (int64_t t = 0; t < inputs.size(0); ++t) {
      alignments.push_back(attention_->weights(s, reading.keys, reading.mask));
      s = next_state(s, of_y[t], weighted_sum(alignments.back(), reading.contribution));
      states.push_back(s);
    }
    const at::Tensor contexts = at::bmm(at::stack(alignments, 1), reading.annotations);  // eq. 5
    return at::cat({at::stack(states), y, contexts.transpose(0, 1)}, 2);
  }

  at::Tensor logits(const at::Tensor& features) override {
    const at::Tensor pairs = at::linear(features, maxout_weight_).unflatten(1, {-1, 2});
    const at::Tensor t = at::maximum(pairs.select(2, 0), pairs.select(2, 1));
    return at::linear(dropped(t), output_weight_, output_bias_);
  }

  DecoderStep step(const at::Tensor& tokens, const std::vector<at::Tensor>& state) override {
    const Reading reading(state);
    const at::Tensor y = dropped(at::embedding(target_embedding_, tokens));  // (N, E)
    const at::Tensor alignment = attention_->weights(reading.s, reading.keys, reading.mask);
    const at::Tensor s =
        next_state(reading.s, product_of(y), weighted_sum(alignment, reading.contribution));
    const at::Tensor context = weighted_sum(alignment, reading.annotations);
    return {.log_probabilities = logits(at::cat({s, y, context}, 1)).log_softmax(1),
            .state = {s, reading.annotations, reading.keys, reading.contribution, reading.mask},
            .attention = alignment};
  }

 private:
  at::Tensor product_of(const at::Tensor& y) const {
    const CellWeights w = decoder_->weights(0);
    return at::linear(y, w.w_ih.slice(1, 0, options().embedding_size), w.b_ih);
  }

  at::Tensor next_state(const at::Tensor& s, const at::Tensor& of_y,
                        const at::Tensor& of_context) const {
    const CellWeights w = decoder_->weights(0);
    return gru_gates(of_y + of_context, at::linear(s, w.w_hh, w.b_hh), s);
  }

  at::Tensor source_embedding_;  // (V of the source, E)
  std::shared_ptr<Recurrent> encoder_;
  at::Tensor target_embedding_;  // (V, E)
  at::Tensor start_weight_;      // (H, H)
  std::shared_ptr<AdditiveAttention> attention_;
  std::shared_ptr<Recurrent> decoder_;  // of (y, c)
  at::Tensor maxout_weight_;            // (2 E, H + E + 2 H)
  at::Tensor output_weight_;            // (V, E)
  at::Tensor output_bias_;
};

}  // namespace

std::shared_ptr<TranslationModel> make_seq2seq_attention(const TranslationModelSizes& sizes,
                                                         const TranslationModelOptions& options,
                                                         uint64_t seed) {
  if (options.layers != 1 || options.reverse_source) {
    throw std::invalid_argument("seq2seq_attention has one layer and reads in both directions");
  }
  return std::make_shared<Seq2seqAttention>(sizes, options, seed);
}

}  // namespace striate
