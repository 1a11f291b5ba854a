#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace striate {

/// What a token of a text is: a character (a code point of UTF-8), or a word between white space.
/// The end of a line is the word `<eos>`.
enum class TextUnit { kCharacters, kWords };

/// "characters" or "words".
std::string to_string(TextUnit unit);

/// The tokens of a text.
/// @param origin  what the text is, for the message.
/// @throws FormatError  it is not UTF-8, with the byte.
std::vector<std::string> split_tokens(const std::string& text, TextUnit unit,
                                      const std::string& origin);

/// The tokens that a language model knows, by number.
class TextVocabulary {
 public:
  /// @throws FormatError  no token, or one twice.
  TextVocabulary(TextUnit unit, std::vector<std::string> tokens);

  TextUnit unit() const { return unit_; }
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  const std::vector<std::string>& tokens() const { return tokens_; }
  bool has(const std::string& token) const { return by_token_.contains(token); }
  /// `<unk>` stands for a word that is not there, if `<unk>` is.
  /// @param origin  where the token is from, for the message.
  /// @throws LookupError  there is no such token.
  int64_t number(const std::string& token, const std::string& origin) const;
  /// (n) int64. @throws LookupError  as `number`.
  at::Tensor encode(const std::vector<std::string>& tokens, const std::string& origin) const;
  /// What is written when a token follows another: words are parted by a space, and `<eos>` ends
  /// the line.
  /// @param before  -1: it is the first.
  std::string written(int64_t token, int64_t before) const;

 private:
  TextUnit unit_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int64_t> by_token_;
};

/// The tokens of a text's three parts.
struct TextParts {
  std::vector<std::string> training;
  std::vector<std::string> validation;
  std::vector<std::string> test;
};

/// Opens `text:PATH`. PATH is a file, whose first 90 % of tokens are for training, the next 5 % for
/// validation and the last 5 % for the test; or a folder with train.txt, valid.txt and test.txt.
/// @throws LookupError  another kind of data; IoError  no such file; FormatError  a part is empty,
/// or no UTF-8.
TextParts open_text(const std::string& spelling, TextUnit unit);

/// Of characters: all that occur, by code point. Of words: those that occur at least so often in
/// the training part, the most frequent first, and `<unk>`.
TextVocabulary make_vocabulary(const TextParts& parts, TextUnit unit, int64_t minimum_count);

}  // namespace striate
