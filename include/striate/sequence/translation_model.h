#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "striate/base/json.h"
#include "striate/runtime/weights.h"
#include "striate/sequence/beam_search.h"
#include "striate/sequence/sentence_batch.h"

namespace striate {

/// The sizes of a model that translates, as a recipe's `task` has them.
struct TranslationModelOptions {
  int64_t embedding_size = 0;  ///< E, of both languages
  int64_t hidden_size = 0;     ///< H, of the decoder and of the encoder in each direction
  int64_t layers = 1;          ///< seq2seq only
  double dropout = 0;
  bool reverse_source = false;  ///< seq2seq only: reads the source from its last word to its first
  /// The output layer's weights are the target's embedding (press2017). seq2seq: E must be H.
  bool tie_embedding = false;
};

Json to_json(const TranslationModelOptions& options);
/// Reads those keys of an object, which may have others.
/// @throws FormatError  a missing or impossible value.
TranslationModelOptions read_translation_model_options(JsonReader& reader);

/// What reads a sentence in one language and writes one in another, token by token.
class TranslationModel : public torch::nn::Module {
 public:
  /// Reads the source. What it gives is where the decoder starts: tensors (N, ...).
  virtual std::vector<at::Tensor> encode(const SentenceBatch& source) = 0;

  /// What the output layer sees after each of the target's tokens.
  /// @param state   as `encode` gives it.
  /// @param inputs  (T, N) int64: `<bos>`, then the target's tokens.
  /// @return        (T, N, F)
  virtual at::Tensor features(const std::vector<at::Tensor>& state, const at::Tensor& inputs) = 0;

  /// @param features  (M, F)    @return (M, V): of the next token
  virtual at::Tensor logits(const at::Tensor& features) = 0;

  /// The next token of each sentence, for a search.
  virtual DecoderStep step(const at::Tensor& tokens, const std::vector<at::Tensor>& state) = 0;

  const TranslationModelOptions& options() const { return options_; }
  /// All weights by key.
  NamedTensors tensors() const;

 protected:
  explicit TranslationModel(const TranslationModelOptions& options) : options_(options) {}
  at::Tensor dropped(const at::Tensor& x) const;

 private:
  const TranslationModelOptions options_;
};

struct TranslationModelSizes {
  int64_t source_vocabulary = 0;
  int64_t target_vocabulary = 0;
};

/// The source in one vector: an LSTM reads it, and another one goes on from its last state.
/// @throws std::invalid_argument  tied embeddings of another size than the hidden one.
/// Source: sutskever2014.
std::shared_ptr<TranslationModel> make_seq2seq(const TranslationModelSizes& sizes,
                                               const TranslationModelOptions& options,
                                               uint64_t seed);

/// Before each word the decoder looks at all words of the source, and takes their weighted sum.
/// @throws std::invalid_argument  options that are seq2seq's.
/// Source: bahdanau2015.
std::shared_ptr<TranslationModel> make_seq2seq_attention(const TranslationModelSizes& sizes,
                                                         const TranslationModelOptions& options,
                                                         uint64_t seed);

/// A model that the program knows.
struct TranslationEntry {
  std::string name;
  std::shared_ptr<TranslationModel> (*make)(const TranslationModelSizes&,
                                            const TranslationModelOptions&, uint64_t seed);
  std::string paper;   ///< a key of docs/papers.bib
  std::string recipe;  ///< the usual one
  std::string form;    ///< what it is, in words
};
const std::vector<TranslationEntry>& translation_models();
std::vector<std::string> translation_model_names();
/// Null: no model that translates has that name.
const TranslationEntry* find_translation_model(const std::string& name);

}  // namespace striate
