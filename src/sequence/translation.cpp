#include "striate/sequence/translation.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "sequence/evaluation_mode.h"
#include "striate/base/error.h"
#include "striate/graph/graph.h"

namespace striate {

namespace {

const char* kModelKey = "striate.model";
const char* kSizesKey = "striate.translation_model";
const char* kSourceKey = "striate.source_language";
const char* kTargetKey = "striate.target_language";

constexpr int64_t kBatch = 64;  // sentences
constexpr int64_t kWidth = 5;   // of a group of lengths
constexpr int64_t kGroups = 7;

const std::string& text_of(const Weights& weights, const char* key, const std::string& origin) {
  const auto found = weights.metadata.find(key);
  if (found != weights.metadata.end()) return found->second;
  throw FormatError(fmt::format("{}: its metadata lacks {}", origin, key));
}

SentenceCodec codec_of(const Weights& weights, const char* key, const std::string& origin) {
  const std::string where = fmt::format("{}: {}", origin, key);
  return SentenceCodec::from_json(parse_json(text_of(weights, key, origin), where), where);
}

// Before a model is made: a damaged file must not ask for more memory than it has.
void check_shape(const Weights& weights, const std::string& key, const Shape& wanted,
                 const std::string& origin) {
  const auto found = weights.tensors.find(key);
  if (found != weights.tensors.end() && found->second.sizes() == at::IntArrayRef(wanted)) return;
  throw ShapeError(fmt::format("{}: {} is missing or not {}", origin, key, to_string(wanted)),
                   "the file is damaged: get or make it again");
}

// Indices from the shortest sentence to the longest: those of a batch are of about one length.
std::vector<int64_t> shortest_first(const std::vector<std::vector<int64_t>>& sentences) {
  std::vector<int64_t> order(sentences.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, {},
                           [&](int64_t i) { return sentences[static_cast<size_t>(i)].size(); });
  return order;
}

std::vector<std::span<const int64_t>> batches_of(const std::vector<int64_t>& order) {
  std::vector<std::span<const int64_t>> batches;
  const std::span<const int64_t> all = order;
  for (size_t from = 0; from < all.size(); from += kBatch) {
    batches.push_back(all.subspan(from, std::min<size_t>(kBatch, all.size() - from)));
  }
  return batches;
}

std::vector<std::vector<int64_t>> chosen_of(const std::vector<std::vector<int64_t>>& sentences,
                                            std::span<const int64_t> chosen) {
  std::vector<std::vector<int64_t>> result;
  for (const int64_t i : chosen) result.push_back(sentences[static_cast<size_t>(i)]);
  return result;
}

at::Device device_of(const TranslationModel& model) {
  return model.tensors().front().second.device();
}

Tokens tokens_of(const Vocabulary& vocabulary, std::span<const int64_t> numbers) {
  Tokens tokens;
  for (const int64_t number : numbers) tokens.push_back(vocabulary.token(number));
  return tokens;
}

}  // namespace

namespace {

// Words as they are written, and which parts each consists of: a matrix (words, parts) of ones.
struct JoinedWords {
  Tokens words;
  at::Tensor parts;
};

JoinedWords joined_words(const Tokens& parts) {
  std::vector<int64_t> word_of_part;
  Tokens words;
  Tokens word;
  for (const std::string& part : parts) {
    word.push_back(part);
    word_of_part.push_back(std::ssize(words));
    const bool ends = !(part.size() > 2 && part.ends_with("@@"));
    if (!ends && word_of_part.size() < parts.size()) continue;
    words.push_back(join_words(BytePairEncoding::decode(word)));
    word.clear();
  }
  const at::Tensor one_hot = at::one_hot(at::tensor(word_of_part, at::kLong), std::ssize(words));
  return {.words = std::move(words), .parts = one_hot.t().to(at::kDouble)};
}

}  // namespace

WordAlignment word_alignment(const Translation& translation) {
  if (!translation.attention.defined() || translation.parts.empty()) {
    throw std::invalid_argument("a translation without a word, or by a model without attention");
  }
  JoinedWords source = joined_words(translation.source_parts);
  JoinedWords target = joined_words(translation.parts);
  const at::Tensor sums =
      target.parts.mm(translation.attention.to(at::kDouble)).mm(source.parts.t());
  return {.source = std::move(source.words),
          .target = std::move(target.words),
          .attention = sums / target.parts.sum(1, /*keepdim=*/true)};
}

bool is_translator(const Weights& weights) {
  return weights.metadata.contains(kTargetKey);
}

std::map<std::string, std::string> translator_metadata(const Translator& translator) {
  return {{"format", "pt"},
          {kModelKey, translator.entry->name},
          {kSizesKey, to_json(translator.model->options()).dump()},
          {kSourceKey, translator.source.to_json().dump()},
          {kTargetKey, translator.target.to_json().dump()}};
}

Translator load_translator(const Weights& weights, const std::string& origin) {
  if (!is_translator(weights)) {
    throw LookupError(origin + " holds no model that translates",
                      "striate train seq2seq_attention --data pairs:FILE_A:FILE_B makes one");
  }
  const std::string& name = text_of(weights, kModelKey, origin);
  const TranslationEntry* const entry = find_translation_model(name);
  if (entry == nullptr) {
    throw unknown_name("model that translates", name, translation_model_names());
  }
  const std::string where = origin + ": sizes";
  const Json sizes = parse_json(text_of(weights, kSizesKey, origin), where);
  JsonReader reader(sizes, where);
  const TranslationModelOptions options = read_translation_model_options(reader);
  reader.finish();
  Translator translator{.entry = entry,
                        .source = codec_of(weights, kSourceKey, origin),
                        .target = codec_of(weights, kTargetKey, origin),
                        .model = {}};
  const TranslationModelSizes vocabularies{
      .source_vocabulary = translator.source.vocabulary().size(),
      .target_vocabulary = translator.target.vocabulary().size()};
  check_shape(weights, "encoder.embedding.weight",
              {vocabularies.source_vocabulary, options.embedding_size}, origin);
  check_shape(weights, "decoder.embedding.weight",
              {vocabularies.target_vocabulary, options.embedding_size}, origin);
  const auto hidden = weights.tensors.find("decoder.rnn.weight_hh_l0");
  if (hidden == weights.tensors.end() || hidden->second.dim() != 2 ||
      hidden->second.size(1) != options.hidden_size) {
    throw ShapeError(fmt::format("{}: decoder.rnn.weight_hh_l0 is missing or not of {} columns",
                                 origin, options.hidden_size),
                     "the file is damaged: get or make it again");
  }
  translator.model = entry->make(vocabularies, options, /*seed=*/1);
  copy_weights(weights, translator.model->tensors());
  translator.model->eval();
  return translator;
}

std::vector<Translation> translate(const Translator& translator,
                                   std::span<const std::string> sentences,
                                   const BeamOptions& options) {
  at::NoGradGuard no_grad;
  const EvaluationMode mode(*translator.model);
  const auto encoded = translator.source.encode(sentences);
  const auto order = shortest_first(encoded);
  const Decode step = [&](const at::Tensor& tokens, const std::vector<at::Tensor>& state) {
    return translator.model->step(tokens, state);
  };
  std::vector<Translation> translations(sentences.size());
  for (const std::span<const int64_t> chosen : batches_of(order)) {
    SentenceBatch source = make_sentence_batch(chosen_of(encoded, chosen));
    source.tokens = source.tokens.to(device_of(*translator.model));
    const auto found = beam_search(step, translator.model->encode(source), options);
    for (size_t n = 0; n < chosen.size(); ++n) {
      const Hypothesis& best = found[n].front();
      const auto& numbers = encoded[static_cast<size_t>(chosen[n])];
      Translation& translation = translations[static_cast<size_t>(chosen[n])];
      translation = {.text = translator.target.decode(best.tokens),
                     .score = best.score,
                     .source_parts = tokens_of(translator.source.vocabulary(), numbers),
                     .parts = tokens_of(translator.target.vocabulary(), best.tokens),
                     .attention = best.attention};
      if (best.attention.defined()) {
        translation.attention =
            best.attention.slice(1, 0, static_cast<int64_t>(numbers.size())).clone();
      }
    }
  }
  return translations;
}

EncodedPairs encode_pairs(const Translator& translator, const SentencePairs& pairs) {
  return {.source = translator.source.encode(pairs.source),
          .target = translator.target.encode(pairs.target)};
}

PairBatch make_pair_batch(const EncodedPairs& pairs, std::span<const int64_t> chosen,
                          at::Device device) {
  PairBatch batch{.source = make_sentence_batch(chosen_of(pairs.source, chosen))};
  batch.source.tokens = batch.source.tokens.to(device);
  const auto count = static_cast<int64_t>(chosen.size());
  auto inputs = chosen_of(pairs.target, chosen);
  std::vector<int64_t> positions;
  std::vector<int64_t> targets;
  for (int64_t n = 0; n < count; ++n) {
    auto& sentence = inputs[static_cast<size_t>(n)];
    for (size_t t = 0; t < sentence.size(); ++t) {
      positions.push_back(static_cast<int64_t>(t) * count + n);
      targets.push_back(sentence[t]);
    }
    sentence.pop_back();
    sentence.insert(sentence.begin(), Vocabulary::kBegin);
  }
  batch.inputs = make_sentence_batch(inputs).tokens.to(device);
  batch.positions = at::tensor(positions, at::kLong).to(device);
  batch.targets = at::tensor(targets, at::kLong).to(device);
  return batch;
}

TextLoss evaluate_pairs(TranslationModel& model, const EncodedPairs& pairs) {
  at::NoGradGuard no_grad;
  const EvaluationMode mode(model);
  const auto order = shortest_first(pairs.target);
  TextLoss result;
  int64_t correct = 0;
  for (const std::span<const int64_t> chosen : batches_of(order)) {
    const PairBatch batch = make_pair_batch(pairs, chosen, device_of(model));
    const at::Tensor features = model.features(model.encode(batch.source), batch.inputs);
    const at::Tensor logits = model.logits(features.flatten(0, 1).index_select(0, batch.positions));
    result.loss +=
        at::cross_entropy_loss(logits, batch.targets, {}, at::Reduction::Sum).item<double>();
    correct += logits.argmax(1).eq(batch.targets).sum().item<int64_t>();
    result.tokens += batch.targets.size(0);
  }
  const auto n = static_cast<double>(result.tokens);
  result.loss /= n;
  result.accuracy = static_cast<double>(correct) / n;
  return result;
}

BleuScore translation_bleu(const SentencePairs& pairs, std::span<const std::string> translations) {
  std::vector<std::vector<std::string>> references;
  for (const std::string& sentence : pairs.target) references.push_back({sentence});
  return corpus_bleu(translations, references);
}

std::vector<LengthScore> bleu_by_length(const SentencePairs& pairs,
                                        std::span<const std::string> translations) {
  std::vector<SentencePairs> groups(kGroups);
  std::vector<std::vector<std::string>> translated(kGroups);
  std::vector<int64_t> longest(kGroups);
  for (size_t i = 0; i < pairs.source.size(); ++i) {
    const auto length = static_cast<int64_t>(split_words(pairs.source[i]).size());
    const auto group = static_cast<size_t>(std::min((length - 1) / kWidth, kGroups - 1));
    groups[group].source.push_back(pairs.source[i]);
    groups[group].target.push_back(pairs.target[i]);
    translated[group].push_back(translations[i]);
    longest[group] = std::max(longest[group], length);
  }
  std::vector<LengthScore> scores;
  for (int64_t k = 0; k < kGroups; ++k) {
    const auto group = static_cast<size_t>(k);
    if (translated[group].empty()) continue;
    scores.push_back({.from = k * kWidth + 1,
                      .to = k + 1 < kGroups ? (k + 1) * kWidth : longest[group],
                      .sentences = static_cast<int64_t>(translated[group].size()),
                      .bleu = translation_bleu(groups[group], translated[group]).bleu});
  }
  return scores;
}

}  // namespace striate
