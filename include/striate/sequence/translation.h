#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "striate/runtime/weights.h"
#include "striate/sequence/bleu.h"
#include "striate/sequence/language_model.h"
#include "striate/sequence/sentence_codec.h"
#include "striate/sequence/sentence_pairs.h"
#include "striate/sequence/translation_model.h"

namespace striate {

/// A model with the two languages it knows: text in, text out.
struct Translator {
  const TranslationEntry* entry;
  SentenceCodec source;
  SentenceCodec target;
  std::shared_ptr<TranslationModel> model;
};

/// Whether weights say that they are a translator's.
bool is_translator(const Weights& weights);
/// What a weight file says of itself.
std::map<std::string, std::string> translator_metadata(const Translator& translator);
/// @param origin  the file, for messages.
/// @return        in evaluation mode
/// @throws LookupError  they are no translator's; FormatError, ShapeError  they are damaged.
Translator load_translator(const Weights& weights, const std::string& origin);

/// A sentence that was translated.
struct Translation {
  std::string text;
  double score = 0;  ///< a hypothesis's
  Tokens source_parts;
  Tokens parts;
  at::Tensor attention;  ///< (parts, source_parts): where each part looked; may be undefined
};

/// Where each word of a translation looked: at a word as much as at all its parts together; of a
/// word of several parts, their mean.
struct WordAlignment {
  Tokens source;         ///< words and marks as they are written, and `<eos>`
  Tokens target;         ///< words and marks
  at::Tensor attention;  ///< (target, source) float64
};
/// @throws std::invalid_argument  the translation has no attention or no word.
WordAlignment word_alignment(const Translation& translation);

/// The best translation of each sentence, in their order.
/// @throws std::invalid_argument  impossible options, a sentence without a word or not UTF-8.
std::vector<Translation> translate(const Translator& translator,
                                   std::span<const std::string> sentences,
                                   const BeamOptions& options);

/// Sentences and their translations as numbers, each with its `<eos>`.
struct EncodedPairs {
  std::vector<std::vector<int64_t>> source;
  std::vector<std::vector<int64_t>> target;
};
EncodedPairs encode_pairs(const Translator& translator, const SentencePairs& pairs);

/// Some pairs in one batch.
struct PairBatch {
  SentenceBatch source;
  at::Tensor inputs;     ///< (T, N): `<bos>`, then the target without its last token
  at::Tensor positions;  ///< (M): where inputs.flatten() stands before a target's token
  at::Tensor targets;    ///< (M): those tokens
};
/// @param chosen  indices of pairs
PairBatch make_pair_batch(const EncodedPairs& pairs, std::span<const int64_t> chosen,
                          at::Device device);

/// How well the target's tokens are predicted from the source and those before. In evaluation
/// mode; leaves the model in the mode it was in. @param pairs  at least one.
TextLoss evaluate_pairs(TranslationModel& model, const EncodedPairs& pairs);

/// BLEU of the sentences whose source has so many words and marks.
struct LengthScore {
  int64_t from = 0;
  int64_t to = 0;  ///< the last of them
  int64_t sentences = 0;
  double bleu = 0;
};
/// By lengths of 1 to 5, 6 to 10 and so on, those that occur; the last takes all of more than 30.
std::vector<LengthScore> bleu_by_length(const SentencePairs& pairs,
                                        std::span<const std::string> translations);

/// BLEU of translations against one reference each.
BleuScore translation_bleu(const SentencePairs& pairs, std::span<const std::string> translations);

}  // namespace striate
