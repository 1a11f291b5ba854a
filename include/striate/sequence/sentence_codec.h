#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "striate/base/json.h"
#include "striate/sequence/byte_pair_encoding.h"
#include "striate/sequence/vocabulary.h"

namespace striate {

struct SentenceCodecOptions {
  int64_t merges = 10000;  ///< of the byte-pair encoding
  bool lower_case = false;
};

/// A language's sentences as numbers: words (`split_words`), their parts (`BytePairEncoding`) and
/// the parts' numbers (`Vocabulary`). A word that was never seen has smaller parts; a part that was
/// never seen, as a character, is `<unk>`.
class SentenceCodec final {
 public:
  /// From the sentences of a training text.
  static SentenceCodec learn(std::span<const std::string> sentences,
                             const SentenceCodecOptions& options);
  SentenceCodec(BytePairEncoding encoding, Vocabulary vocabulary, bool lower_case);

  const Vocabulary& vocabulary() const { return vocabulary_; }

  /// Its parts and `<eos>`. @throws std::invalid_argument  not UTF-8, or no word.
  std::vector<int64_t> encode(const std::string& sentence) const;
  /// The same for each.
  std::vector<std::vector<int64_t>> encode(std::span<const std::string> sentences) const;
  /// The text of parts, up to the first `<eos>`.
  std::string decode(std::span<const int64_t> parts) const;

  /// All that it is made of: {"lower_case", "merges", "tokens"}.
  Json to_json() const;
  /// @param where  the JSON's place, for messages. @throws FormatError  it is no such object.
  static SentenceCodec from_json(const Json& json, const std::string& where);

 private:
  BytePairEncoding encoding_;
  Vocabulary vocabulary_;
  bool lower_case_;
};

}  // namespace striate
