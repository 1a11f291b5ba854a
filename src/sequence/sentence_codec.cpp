#include "striate/sequence/sentence_codec.h"

#include <fmt/format.h>

#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "striate/base/error.h"

namespace striate {

namespace {

// Words come again and again.
class PartsByWord {
 public:
  explicit PartsByWord(const BytePairEncoding& encoding) : encoding_(encoding) {}

  Tokens operator()(const Tokens& words) {
    Tokens parts;
    for (const std::string& word : words) {
      const auto [entry, is_new] = known_.try_emplace(word);
      if (is_new) entry->second = encoding_.encode({word});
      parts.insert(parts.end(), entry->second.begin(), entry->second.end());
    }
    return parts;
  }

 private:
  const BytePairEncoding& encoding_;
  std::unordered_map<std::string, Tokens> known_;
};

}  // namespace

SentenceCodec::SentenceCodec(BytePairEncoding encoding, Vocabulary vocabulary, bool lower_case)
    : encoding_(std::move(encoding)), vocabulary_(std::move(vocabulary)), lower_case_(lower_case) {}

SentenceCodec SentenceCodec::learn(std::span<const std::string> sentences,
                                   const SentenceCodecOptions& options) {
  std::vector<Tokens> tokens;
  for (const std::string& sentence : sentences) {
    tokens.push_back(split_words(sentence, {.lower_case = options.lower_case}));
  }
  BytePairEncoding encoding = BytePairEncoding::learn(tokens, {.merges = options.merges});
  PartsByWord parts(encoding);
  for (Tokens& sentence : tokens) sentence = parts(sentence);
  Vocabulary vocabulary(tokens, {});
  return {std::move(encoding), std::move(vocabulary), options.lower_case};
}

std::vector<int64_t> SentenceCodec::encode(const std::string& sentence) const {
  return encode(std::span(&sentence, 1)).front();
}

std::vector<std::vector<int64_t>> SentenceCodec::encode(
    std::span<const std::string> sentences) const {
  PartsByWord parts(encoding_);
  std::vector<std::vector<int64_t>> encoded;
  for (const std::string& sentence : sentences) {
    const Tokens words = split_words(sentence, {.lower_case = lower_case_});
    if (words.empty()) throw std::invalid_argument("a sentence without a word");
    encoded.push_back(vocabulary_.encode(parts(words)));
    encoded.back().push_back(Vocabulary::kEnd);
  }
  return encoded;
}

std::string SentenceCodec::decode(std::span<const int64_t> parts) const {
  return join_words(BytePairEncoding::decode(vocabulary_.decode(parts)));
}

Json SentenceCodec::to_json() const {
  return {{"lower_case", lower_case_},
          {"merges", encoding_.merges()},
          {"tokens", vocabulary_.tokens()}};
}

SentenceCodec SentenceCodec::from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  const auto lower_case = reader.get<bool>("lower_case");
  const Json& merges = reader.at("merges");
  const Json& tokens = reader.at("tokens");
  reader.finish();
  try {
    return {BytePairEncoding(merges.get<std::vector<BytePairEncoding::Pair>>()),
            Vocabulary(tokens.get<std::vector<std::string>>(), where), lower_case};
  } catch (const Json::exception& error) {
    throw FormatError(fmt::format("{} is damaged: {}", where, error.what()));
  }
}

}  // namespace striate
