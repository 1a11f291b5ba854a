#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "striate/sequence/words.h"

namespace striate {

struct VocabularyOptions {
  int64_t most = 0;         ///< only the most frequent; 0: all. Without the four special tokens.
  int64_t least_count = 1;  ///< only what occurs so often
};

/// Tokens with a number each. The first four are `<pad>`, `<unk>`, `<bos>` and `<eos>`; then the
/// more frequent comes first, and of equally frequent ones the one with the smaller bytes.
class Vocabulary final {
 public:
  static constexpr int64_t kPad = 0;
  static constexpr int64_t kUnknown = 1;
  static constexpr int64_t kBegin = 2;
  static constexpr int64_t kEnd = 3;

  /// Counts the tokens of sentences. Special tokens that they hold are those of the vocabulary.
  /// @throws std::invalid_argument  `most` < 0 or `least_count` < 1.
  Vocabulary(std::span<const Tokens> sentences, VocabularyOptions options);

  /// From all its tokens in order, as `tokens` gives them. @param origin  for the message.
  /// @throws FormatError  they do not begin with the special tokens, or one is there twice.
  Vocabulary(std::vector<std::string> tokens, const std::string& origin);

  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  const std::vector<std::string>& tokens() const { return tokens_; }

  /// The number of a token; `kUnknown` where there is none.
  int64_t index(const std::string& token) const;
  /// @throws std::out_of_range  no token has that number.
  const std::string& token(int64_t index) const;

  std::vector<int64_t> encode(const Tokens& tokens) const;
  /// The tokens up to the first `<eos>`, without `<pad>` and `<bos>`.
  Tokens decode(std::span<const int64_t> indices) const;

 private:
  void number_tokens();

  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int64_t> indices_;
};

/// A JSON list of its tokens.
void write_vocabulary(const Vocabulary& vocabulary, const std::filesystem::path& path);
/// @throws IoError, FormatError  it can't be read, or is no such list.
Vocabulary read_vocabulary(const std::filesystem::path& path);

}  // namespace striate
