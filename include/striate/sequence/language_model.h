#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "striate/base/json.h"
#include "striate/runtime/weights.h"
#include "striate/sequence/recurrent.h"
#include "striate/sequence/text.h"

namespace striate {

/// The sizes of a language model, as a recipe's `task` has them.
struct LanguageModelOptions {
  int64_t embedding_size = 0;
  int64_t hidden_size = 0;
  int64_t layers = 1;
  double dropout = 0;  ///< of everything but what goes from step to step (zaremba2014, Fig. 2)
  /// All weights start uniform in ± this. 0: in ± 0.1 for embedding and decoder, whose bias is 0,
  /// and as torch.nn's for the layers between.
  double initial_range = 0;
};

Json to_json(const LanguageModelOptions& options);
/// Reads those keys of an object, which may have others.
/// @throws FormatError  a missing or impossible value.
LanguageModelOptions read_language_model_options(JsonReader& reader);

/// What predicts each token of a text from those before: an embedding, recurrent layers, a decoder.
/// Keys are those of PyTorch's example word_language_model: `encoder.weight`, `rnn.weight_ih_l0`,
/// `decoder.weight`, `decoder.bias`.
class LanguageModel final : public torch::nn::Module {
 public:
  LanguageModel(Cell cell, int64_t vocabulary_size, const LanguageModelOptions& options,
                uint64_t seed);

  struct Output {
    at::Tensor logits;  ///< (T, N, V): of the token after each
    RecurrentState state;
  };
  /// @param tokens  (T, N) int64, each in [0, V): N texts beside each other
  /// @param state   what the call before returned; undefined: the texts begin
  Output forward(const at::Tensor& tokens, const RecurrentState& state = {});

  const LanguageModelOptions& options() const { return options_; }
  const Recurrent& layers() const { return *rnn_; }
  /// All weights by key.
  const NamedTensors& tensors() const { return tensors_; }

 private:
  LanguageModelOptions options_;
  at::Tensor encoder_weight_;  // (V, E)
  std::shared_ptr<Recurrent> rnn_;
  at::Tensor decoder_weight_;  // (V, H)
  at::Tensor decoder_bias_;
  NamedTensors tensors_;
};

/// A language model that the program knows.
struct LanguageModelEntry {
  std::string name;
  Cell cell;
  TextUnit unit;
  std::string paper;   ///< a key of docs/papers.bib
  std::string recipe;  ///< the usual one
  std::string form;    ///< what it is, in words
};
const std::vector<LanguageModelEntry>& language_models();
std::vector<std::string> language_model_names();
/// Null: no language model has that name.
const LanguageModelEntry* find_language_model(const std::string& name);

/// The key and shape of each of its weights, in their order.
std::vector<std::pair<std::string, std::vector<int64_t>>> language_model_shapes(
    Cell cell, int64_t vocabulary_size, const LanguageModelOptions& options);

/// A language model and the words it speaks.
struct LoadedLanguageModel {
  const LanguageModelEntry* entry;
  TextVocabulary vocabulary;
  std::shared_ptr<LanguageModel> model;  ///< in evaluation mode
};

/// Whether weights say that they are a language model's.
bool is_language_model(const Weights& weights);
/// What a weight file says of itself.
std::map<std::string, std::string> language_model_metadata(const LanguageModelEntry& entry,
                                                           const TextVocabulary& vocabulary,
                                                           const LanguageModelOptions& options);
/// @param origin  the file, for messages.
/// @throws LookupError  they are no language model's; FormatError, ShapeError  they are damaged.
LoadedLanguageModel load_language_model(const Weights& weights, const std::string& origin);

/// How well a text is predicted.
struct TextLoss {
  int64_t tokens = 0;  ///< predicted: all but the first
  double loss = 0;     ///< mean, in nats
  double accuracy = 0;
  double bits() const;        ///< mean, per token
  double perplexity() const;  ///< exp(loss)
};

/// In evaluation mode; leaves the model in the mode it was in. A long text is read as up to 32
/// pieces beside each other, each from a state of zeros.
/// @param tokens  (n) int64, at least 2
TextLoss evaluate_text(LanguageModel& model, const at::Tensor& tokens);

struct SamplingOptions {
  std::string prompt;      ///< "": a new line
  double temperature = 1;  ///< the logits are divided by it
  int64_t length = 500;    ///< tokens to draw
  uint64_t seed = 1;
};
/// Goes on with a text. The prompt is part of it.
/// @param emit  gets the text piece by piece.
/// @throws std::invalid_argument  a temperature that is not above 0 and finite, a length below 1;
/// LookupError  the prompt has a token that the model does not know.
void sample_text(const LoadedLanguageModel& model, const SamplingOptions& options,
                 const std::function<void(const std::string&)>& emit);

}  // namespace striate
