// Recurrent Neural Network Based Language Model. T. Mikolov et al., 2010.
// Recurrent Neural Network Regularization. W. Zaremba, I. Sutskever, O. Vinyals, 2014.
// https://arxiv.org/abs/1409.2329
// The plain cell and the GRU take the LSTM's place in the same model.
#include "striate/sequence/language_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "runtime/dropout.h"
#include "sequence/evaluation_mode.h"
#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/runtime/initialize.h"

namespace striate {

namespace {

constexpr double kUsualRange = 0.1;  // of word_language_model's embedding and decoder
constexpr int64_t kPieces = 32;      // of a text that is evaluated
constexpr int64_t kShortestPiece = 256;
constexpr int64_t kIgnored = -100;  // no target
constexpr int64_t kEvaluationChunk = 128;
constexpr int64_t kLargestSize = 65536;

const char* kVocabularyKey = "striate.vocabulary";
const char* kModelKey = "striate.model";
const char* kSizesKey = "striate.language_model";

}  // namespace

Json to_json(const LanguageModelOptions& o) {
  return {{"embedding_size", o.embedding_size},
          {"hidden_size", o.hidden_size},
          {"layers", o.layers},
          {"dropout", o.dropout},
          {"initial_range", o.initial_range}};
}

LanguageModelOptions read_language_model_options(JsonReader& reader) {
  LanguageModelOptions o;
  for (const auto& [key, value] :
       {std::pair{"embedding_size", &o.embedding_size}, std::pair{"hidden_size", &o.hidden_size},
        std::pair{"layers", &o.layers}}) {
    *value = reader.get<int64_t>(key);
    if (*value < 1 || *value > kLargestSize) {
      throw reader.error(key, fmt::format("must be in [1, {}], got {}", kLargestSize, *value));
    }
  }
  o.dropout = reader.get("dropout", o.dropout);
  if (!(o.dropout >= 0 && o.dropout < 1)) {
    throw reader.error("dropout", fmt::format("must be in [0, 1), got {}", o.dropout));
  }
  o.initial_range = reader.get("initial_range", o.initial_range);
  if (!(o.initial_range >= 0)) {
    throw reader.error("initial_range", fmt::format("must be at least 0, got {}", o.initial_range));
  }
  return o;
}

LanguageModel::LanguageModel(Cell cell, int64_t vocabulary_size,
                             const LanguageModelOptions& options, uint64_t seed)
    : options_(options) {
  const double range = options.initial_range > 0 ? options.initial_range : kUsualRange;
  const auto child = [&](const char* name) {
    return register_module(name, std::make_shared<torch::nn::Module>());
  };
  encoder_weight_ = child("encoder")->register_parameter(
      "weight",
      uniform_parameter("encoder.weight", {vocabulary_size, options.embedding_size}, range, seed));
  rnn_ = register_module(
      "rnn", std::make_shared<Recurrent>(RecurrentOptions{.cell = cell,
                                                          .input_size = options.embedding_size,
                                                          .hidden_size = options.hidden_size,
                                                          .layers = options.layers,
                                                          .dropout = options.dropout},
                                         seed));
  const auto decoder = child("decoder");
  decoder_weight_ = decoder->register_parameter(
      "weight",
      uniform_parameter("decoder.weight", {vocabulary_size, options.hidden_size}, range, seed));
  decoder_bias_ = decoder->register_parameter(
      "bias", uniform_parameter("decoder.bias", {vocabulary_size}, options.initial_range, seed));
  for (const auto& item : named_parameters()) tensors_.emplace_back(item.key(), item.value());
  if (options.initial_range == 0) return;
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : tensors_) {
    tensor.copy_(uniform_parameter(key, tensor.sizes().vec(), options.initial_range, seed));
  }
}

LanguageModel::Output LanguageModel::forward(const at::Tensor& tokens,
                                             const RecurrentState& state) {
  const auto dropped = [&](const at::Tensor& x) {
    return striate::dropout(x, options_.dropout, is_training());
  };
  const auto [y, last] = rnn_->forward(dropped(at::embedding(encoder_weight_, tokens)), state);
  return {.logits = at::linear(dropped(y), decoder_weight_, decoder_bias_), .state = last};
}

const std::vector<LanguageModelEntry>& language_models() {
  static const std::vector<LanguageModelEntry> kModels = {
      {"char_rnn", Cell::kRnn, TextUnit::kCharacters, "mikolov2010", "char-rnn",
       "characters, plain recurrence"},
      {"char_lstm", Cell::kLstm, TextUnit::kCharacters, "zaremba2014", "char-lstm",
       "characters, LSTM"},
      {"char_gru", Cell::kGru, TextUnit::kCharacters, "cho2014", "char-gru", "characters, GRU"},
      {"word_lstm", Cell::kLstm, TextUnit::kWords, "zaremba2014", "word-lstm-small",
       "words, LSTM"}};
  return kModels;
}

const LanguageModelEntry* find_language_model(const std::string& name) {
  const auto found = std::ranges::find(language_models(), name, &LanguageModelEntry::name);
  return found == language_models().end() ? nullptr : &*found;
}

std::vector<std::string> language_model_names() {
  std::vector<std::string> names;
  for (const LanguageModelEntry& entry : language_models()) names.push_back(entry.name);
  return names;
}

std::vector<std::pair<std::string, std::vector<int64_t>>> language_model_shapes(
    Cell cell, int64_t vocabulary_size, const LanguageModelOptions& options) {
  std::vector<std::pair<std::string, std::vector<int64_t>>> shapes = {
      {"encoder.weight", {vocabulary_size, options.embedding_size}}};
  const RecurrentOptions layers{.cell = cell,
                                .input_size = options.embedding_size,
                                .hidden_size = options.hidden_size,
                                .layers = options.layers};
  for (auto& [key, shape] : recurrent_shapes(layers)) shapes.emplace_back("rnn." + key, shape);
  shapes.emplace_back("decoder.weight", std::vector{vocabulary_size, options.hidden_size});
  shapes.emplace_back("decoder.bias", std::vector{vocabulary_size});
  return shapes;
}

bool is_language_model(const Weights& weights) {
  return weights.metadata.contains(kVocabularyKey);
}

std::map<std::string, std::string> language_model_metadata(const LanguageModelEntry& entry,
                                                           const TextVocabulary& vocabulary,
                                                           const LanguageModelOptions& options) {
  return {{"format", "pt"},
          {kModelKey, entry.name},
          {kVocabularyKey, Json(vocabulary.tokens()).dump()},
          {kSizesKey, to_json(options).dump()}};
}

LoadedLanguageModel load_language_model(const Weights& weights, const std::string& origin) {
  if (!is_language_model(weights)) {
    throw LookupError(origin + " holds no language model",
                      "striate train char_lstm --data text:FILE makes one");
  }
  const auto text = [&](const char* key) {
    const auto found = weights.metadata.find(key);
    if (found == weights.metadata.end()) {
      throw FormatError(fmt::format("{}: its metadata lacks {}", origin, key));
    }
    return found->second;
  };
  const LanguageModelEntry* const entry = find_language_model(text(kModelKey));
  if (entry == nullptr) {
    throw unknown_name("language model", text(kModelKey), language_model_names());
  }
  const Json tokens = parse_json(text(kVocabularyKey), origin + ": vocabulary");
  const Json sizes = parse_json(text(kSizesKey), origin + ": sizes");
  JsonReader reader(sizes, origin + ": sizes");
  const LanguageModelOptions options = read_language_model_options(reader);
  reader.finish();
  std::vector<std::string> words;
  try {
    words = tokens.get<std::vector<std::string>>();
  } catch (const Json::exception& error) {
    throw FormatError(fmt::format("{}: its vocabulary is damaged: {}", origin, error.what()));
  }
  LoadedLanguageModel loaded{
      .entry = entry, .vocabulary = TextVocabulary(entry->unit, std::move(words)), .model = {}};
  // Before the model is made: a damaged file must not ask for more memory than it has.
  for (const auto& [key, shape] :
       language_model_shapes(entry->cell, loaded.vocabulary.size(), options)) {
    const auto found = weights.tensors.find(key);
    if (found == weights.tensors.end() || found->second.sizes() != at::IntArrayRef(shape)) {
      throw ShapeError(fmt::format("{}: {} is missing or not {}", origin, key, to_string(shape)),
                       "the file is damaged: get or make it again");
    }
  }
  loaded.model = std::make_shared<LanguageModel>(entry->cell, loaded.vocabulary.size(), options,
                                                 /*seed=*/1);
  copy_weights(weights, loaded.model->tensors());
  loaded.model->eval();
  return loaded;
}

double TextLoss::bits() const {
  return loss / std::log(2.0);
}

double TextLoss::perplexity() const {
  return std::exp(loss);
}

TextLoss evaluate_text(LanguageModel& model, const at::Tensor& tokens) {
  const int64_t count = tokens.size(0) - 1;
  if (count < 1) throw std::invalid_argument("a text of one token has nothing to predict");
  at::NoGradGuard no_grad;
  const EvaluationMode mode(model);
  const int64_t pieces = std::clamp<int64_t>(count / kShortestPiece, 1, kPieces);
  const int64_t length = (count + pieces - 1) / pieces;
  const auto beside = [&](const at::Tensor& part, int64_t filling) {
    return at::constant_pad_nd(part, {0, pieces * length - count}, filling)
        .view({pieces, length})
        .t()
        .contiguous()
        .to(model.tensors().front().second.device());
  };
  const at::Tensor inputs = beside(tokens.slice(0, 0, count), 0);
  const at::Tensor targets = beside(tokens.slice(0, 1), kIgnored);
  double loss = 0;
  int64_t correct = 0;
  RecurrentState state;
  for (int64_t from = 0; from < length; from += kEvaluationChunk) {
    const int64_t to = std::min(from + kEvaluationChunk, length);
    const LanguageModel::Output out = model.forward(inputs.slice(0, from, to), state);
    state = out.state;
    const at::Tensor logits = out.logits.flatten(0, 1);
    const at::Tensor wanted = targets.slice(0, from, to).flatten();
    loss += at::cross_entropy_loss(logits, wanted, {}, at::Reduction::Sum, kIgnored).item<double>();
    correct += logits.argmax(1).eq(wanted).sum().item<int64_t>();
  }
  const auto n = static_cast<double>(count);
  return {.tokens = count, .loss = loss / n, .accuracy = static_cast<double>(correct) / n};
}

namespace {

void check_sampling(const SamplingOptions& options) {
  if (!(options.temperature > 0) || !std::isfinite(options.temperature)) {
    throw std::invalid_argument(
        fmt::format("a temperature must be above 0 and finite, got {}", options.temperature));
  }
  if (options.length < 1) {
    throw std::invalid_argument(fmt::format("a length must be at least 1, got {}", options.length));
  }
}

// What a text without a prompt goes on from.
std::vector<std::string> line_end(const TextVocabulary& vocabulary) {
  for (const char* token : {"\n", "<eos>"}) {
    if (vocabulary.has(token)) return {token};
  }
  return {vocabulary.tokens().front()};
}

int64_t draw(const at::Tensor& logits, double temperature, Random& random) {
  const at::Tensor shares = (logits.to(at::kCPU, at::kDouble) / temperature).softmax(0);
  const double* const share = shares.data_ptr<double>();
  double left = random.uniform();
  for (int64_t token = 0; token + 1 < shares.size(0); ++token) {
    left -= share[token];
    if (left < 0) return token;
  }
  return shares.size(0) - 1;
}

}  // namespace

void sample_text(const LoadedLanguageModel& loaded, const SamplingOptions& options,
                 const std::function<void(const std::string&)>& emit) {
  check_sampling(options);
  at::NoGradGuard no_grad;
  const TextVocabulary& vocabulary = loaded.vocabulary;
  const bool prompted = !options.prompt.empty();
  const std::vector<std::string> prompt =
      prompted ? split_tokens(options.prompt, vocabulary.unit(), "the prompt")
               : line_end(vocabulary);
  if (prompt.empty()) throw std::invalid_argument("the prompt has no word");
  const at::Tensor start = vocabulary.encode(prompt, "the prompt");
  if (prompted) emit(options.prompt);

  Random random({options.seed, hash_name("sample")});
  const at::Device device = loaded.model->tensors().front().second.device();
  at::Tensor next = start.unsqueeze(1).to(device);  // (T, 1)
  int64_t before = start[-1].item<int64_t>();
  RecurrentState state;
  for (int64_t i = 0; i < options.length; ++i) {
    const LanguageModel::Output out = loaded.model->forward(next, state);
    state = out.state;
    const int64_t token = draw(out.logits[-1][0], options.temperature, random);
    emit(vocabulary.written(token, before));
    before = token;
    next = at::full({1, 1}, token, at::TensorOptions(at::kLong).device(device));
  }
}

}  // namespace striate
