// Sequence to Sequence Learning with Neural Networks. I. Sutskever, O. Vinyals, Q. V. Le, 2014.
// https://arxiv.org/abs/1409.3215
// Departures: torch.nn's LSTM (recurrent.h) and its start; dropout as in zaremba2014. The paper's
// four layers of 1000 are the options' choice.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <stdexcept>

#include "sequence/parameters.h"
#include "striate/sequence/recurrent.h"
#include "striate/sequence/translation_model.h"

namespace striate {

namespace {

// 3.3: "we found it extremely valuable to reverse the order of the words of the input sentence".
// The
// `<eos>` stays last, as in Fig. 1.
at::Tensor reversed(const SentenceBatch& source) {
  const at::Device device = source.tokens.device();
  const at::Tensor last = at::tensor(source.lengths, at::kLong).to(device) - 1;         // (N)
  const at::Tensor t = at::arange(source.tokens.size(0), last.options()).unsqueeze(1);  // (T, 1)
  return source.tokens.gather(0, at::where(t < last, last - 1 - t, t));
}

class Seq2seq final : public TranslationModel {
 public:
  Seq2seq(const TranslationModelSizes& sizes, const TranslationModelOptions& o, uint64_t seed)
      : TranslationModel(o),
        encoder_(layers(o, seed, "encoder")),
        decoder_(layers(o, seed, "decoder")) {
    const auto embedding = [&](const char* key, int64_t words) {
      return add_parameter(*this, key, {words, o.embedding_size}, kEmbeddingRange, seed);
    };
    source_embedding_ = embedding("encoder.embedding.weight", sizes.source_vocabulary);
    add_module(*this, "encoder.rnn", encoder_);
    target_embedding_ = embedding("decoder.embedding.weight", sizes.target_vocabulary);
    add_module(*this, "decoder.rnn", decoder_);
    output_weight_ = o.tie_embedding ? target_embedding_
                                     : add_matrix(*this, "output.weight",
                                                  {sizes.target_vocabulary, o.hidden_size}, seed);
    output_bias_ = add_parameter(*this, "output.bias", {sizes.target_vocabulary}, 0, seed);
  }

  // "The fixed-dimensional representation v of the input sequence": h and c, (N, layers, H) each.
  std::vector<at::Tensor> encode(const SentenceBatch& source) override {
    const at::Tensor tokens = options().reverse_source ? reversed(source) : source.tokens;
    const at::Tensor words = dropped(at::embedding(source_embedding_, tokens));
    return state_of(encoder_->forward(words, source.lengths).state);
  }

  at::Tensor features(const std::vector<at::Tensor>& state, const at::Tensor& inputs) override {
    return decode(state, inputs).y;
  }

  at::Tensor logits(const at::Tensor& features) override {
    return at::linear(dropped(features), output_weight_, output_bias_);
  }

  DecoderStep step(const at::Tensor& tokens, const std::vector<at::Tensor>& state) override {
    const RecurrentOutput out = decode(state, tokens.unsqueeze(0));
    return {.log_probabilities = logits(out.y[0]).log_softmax(1),
            .state = state_of(out.state),
            .attention = {}};
  }

 private:
  static std::shared_ptr<Recurrent> layers(const TranslationModelOptions& o, uint64_t seed,
                                           const char* part) {
    return std::make_shared<Recurrent>(RecurrentOptions{.cell = Cell::kLstm,
                                                        .input_size = o.embedding_size,
                                                        .hidden_size = o.hidden_size,
                                                        .layers = o.layers,
                                                        .dropout = o.dropout},
                                       part_seed(seed, part));
  }

  static std::vector<at::Tensor> state_of(const RecurrentState& state) {
    return {state.h.transpose(0, 1), state.c.transpose(0, 1)};
  }

  RecurrentOutput decode(const std::vector<at::Tensor>& state, const at::Tensor& inputs) {
    return decoder_->forward(dropped(at::embedding(target_embedding_, inputs)),
                             {.h = state.at(0).transpose(0, 1).contiguous(),
                              .c = state.at(1).transpose(0, 1).contiguous()});
  }

  at::Tensor source_embedding_;  // (V of the source, E)
  std::shared_ptr<Recurrent> encoder_;
  at::Tensor target_embedding_;  // (V, E)
  std::shared_ptr<Recurrent> decoder_;
  at::Tensor output_weight_;  // (V, H)
  at::Tensor output_bias_;
};

}  // namespace

std::shared_ptr<TranslationModel> make_seq2seq(const TranslationModelSizes& sizes,
                                               const TranslationModelOptions& options,
                                               uint64_t seed) {
  if (options.tie_embedding && options.embedding_size != options.hidden_size) {
    throw std::invalid_argument("seq2seq ties embeddings of its hidden size only");
  }
  return std::make_shared<Seq2seq>(sizes, options, seed);
}

}  // namespace striate
