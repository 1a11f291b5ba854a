#include "striate/sequence/translation_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/dropout.h"
#include "striate/sequence/vocabulary.h"

namespace striate {

namespace {

constexpr int64_t kLargestSize = 65536;
constexpr int64_t kMostLayers = 64;

}  // namespace

Json to_json(const TranslationModelOptions& o) {
  return {{"embedding_size", o.embedding_size},
          {"hidden_size", o.hidden_size},
          {"layers", o.layers},
          {"dropout", o.dropout},
          {"reverse_source", o.reverse_source},
          {"tie_embedding", o.tie_embedding}};
}

TranslationModelOptions read_translation_model_options(JsonReader& reader) {
  const auto check_size = [&](const char* key, int64_t value, int64_t most) {
    if (value >= 1 && value <= most) return value;
    throw reader.error(key, fmt::format("must be in [1, {}], got {}", most, value));
  };
  TranslationModelOptions o;
  o.embedding_size =
      check_size("embedding_size", reader.get<int64_t>("embedding_size"), kLargestSize);
  o.hidden_size = check_size("hidden_size", reader.get<int64_t>("hidden_size"), kLargestSize);
  o.layers = check_size("layers", reader.get("layers", o.layers), kMostLayers);
  o.dropout = reader.get("dropout", o.dropout);
  if (!(o.dropout >= 0 && o.dropout < 1)) {
    throw reader.error("dropout", fmt::format("must be in [0, 1), got {}", o.dropout));
  }
  o.reverse_source = reader.get("reverse_source", o.reverse_source);
  o.tie_embedding = reader.get("tie_embedding", o.tie_embedding);
  return o;
}

NamedTensors TranslationModel::tensors() const {
  NamedTensors tensors;
  for (const auto& item : named_parameters()) tensors.emplace_back(item.key(), item.value());
  return tensors;
}

at::Tensor TranslationModel::dropped(const at::Tensor& x) const {
  return striate::dropout(x, options_.dropout, is_training());
}

const std::vector<TranslationEntry>& translation_models() {
  static const std::vector<TranslationEntry> kModels = {
      {"seq2seq", make_seq2seq, "sutskever2014", "seq2seq", "translation, LSTM, one vector"},
      {"seq2seq_attention", make_seq2seq_attention, "bahdanau2015", "seq2seq-attention",
       "translation, GRU, attention"}};
  return kModels;
}

std::vector<std::string> translation_model_names() {
  std::vector<std::string> names;
  for (const TranslationEntry& entry : translation_models()) names.push_back(entry.name);
  return names;
}

const TranslationEntry* find_translation_model(const std::string& name) {
  const auto found = std::ranges::find(translation_models(), name, &TranslationEntry::name);
  return found == translation_models().end() ? nullptr : &*found;
}

}  // namespace striate
