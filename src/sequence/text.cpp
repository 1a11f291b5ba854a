#include "striate/sequence/text.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "sequence/unicode.h"
#include "striate/base/error.h"
#include "striate/base/file.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

constexpr const char* kLineEnd = "<eos>";
constexpr const char* kUnknown = "<unk>";
constexpr double kTrainingShare = 0.90;
constexpr double kValidationShare = 0.05;

std::vector<std::string> split_characters(const std::string& text, const std::string& origin) {
  std::vector<std::string> tokens;
  tokens.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t length = first_length(std::string_view(text).substr(at));
    if (length == 0) {
      throw FormatError(fmt::format("{} is not UTF-8 at byte {}", origin, at),
                        "convert it, with iconv -t UTF-8 for instance");
    }
    tokens.push_back(text.substr(at, length));
    at += length;
  }
  return tokens;
}

std::vector<std::string> split_at_spaces(const std::string& text) {
  constexpr const char* kSpaces = " \t\r\v\f\n";
  std::vector<std::string> tokens;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '\n') tokens.emplace_back(kLineEnd);
    const size_t end = std::min(text.find_first_of(kSpaces, at), text.size());
    if (end > at) tokens.push_back(text.substr(at, end - at));
    at = end > at ? end : at + 1;
  }
  return tokens;
}

std::vector<std::string> read_tokens(const fs::path& path, TextUnit unit) {
  std::string text = read_text(path);
  const bool cut_off = unit == TextUnit::kWords && !text.empty() && text.back() != '\n';
  if (cut_off) text += '\n';
  std::vector<std::string> tokens = split_tokens(text, unit, path.string());
  if (tokens.empty()) throw FormatError(path.string() + " is empty", "name a file with text");
  return tokens;
}

fs::path parse_spelling(const std::string& spelling) {
  constexpr const char* kHint =
      "write text:FILE, or text:DIR with train.txt, valid.txt and test.txt";
  const size_t colon = spelling.find(':');
  if (spelling.substr(0, colon) != "text") {
    throw LookupError(fmt::format("{} is no text", spelling), kHint);
  }
  if (colon == std::string::npos || colon + 1 == spelling.size()) {
    throw LookupError(fmt::format("data set \"{}\" names no file", spelling), kHint);
  }
  const fs::path path = spelling.substr(colon + 1);
  if (!fs::exists(path)) throw IoError(fmt::format("there is no {}", path.string()));
  return path;
}

}  // namespace

std::string to_string(TextUnit unit) {
  return unit == TextUnit::kCharacters ? "characters" : "words";
}

std::vector<std::string> split_tokens(const std::string& text, TextUnit unit,
                                      const std::string& origin) {
  std::vector<std::string> characters = split_characters(text, origin);
  return unit == TextUnit::kCharacters ? std::move(characters) : split_at_spaces(text);
}

TextVocabulary::TextVocabulary(TextUnit unit, std::vector<std::string> tokens)
    : unit_(unit), tokens_(std::move(tokens)) {
  if (tokens_.empty()) throw FormatError("a vocabulary without tokens");
  for (size_t i = 0; i < tokens_.size(); ++i) {
    if (!by_token_.emplace(tokens_[i], static_cast<int64_t>(i)).second) {
      throw FormatError(fmt::format("a vocabulary with \"{}\" twice", tokens_[i]));
    }
  }
}

int64_t TextVocabulary::number(const std::string& token, const std::string& origin) const {
  auto found = by_token_.find(token);
  if (found == by_token_.end() && unit_ == TextUnit::kWords) found = by_token_.find(kUnknown);
  if (found != by_token_.end()) return found->second;
  const char* kind = unit_ == TextUnit::kCharacters ? "character" : "word";
  throw LookupError(
      fmt::format("{} has the {} \"{}\", which the model was not trained on", origin, kind, token),
      fmt::format("it knows {} {}", tokens_.size(), to_string(unit_)));
}

at::Tensor TextVocabulary::encode(const std::vector<std::string>& tokens,
                                  const std::string& origin) const {
  at::Tensor numbers = at::empty({static_cast<int64_t>(tokens.size())}, at::kLong);
  auto* const out = numbers.data_ptr<int64_t>();
  for (size_t i = 0; i < tokens.size(); ++i) out[i] = number(tokens[i], origin);
  return numbers;
}

std::string TextVocabulary::written(int64_t token, int64_t before) const {
  const std::string& text = tokens_.at(static_cast<size_t>(token));
  if (unit_ == TextUnit::kCharacters) return text;
  if (text == kLineEnd) return "\n";
  const bool begins = before < 0 || tokens_.at(static_cast<size_t>(before)) == kLineEnd;
  return begins ? text : " " + text;
}

TextParts open_text(const std::string& spelling, TextUnit unit) {
  const fs::path path = parse_spelling(spelling);
  if (fs::is_directory(path)) {
    return {.training = read_tokens(path / "train.txt", unit),
            .validation = read_tokens(path / "valid.txt", unit),
            .test = read_tokens(path / "test.txt", unit)};
  }
  const std::vector<std::string> all = read_tokens(path, unit);
  const auto share = [&](double part) {
    return all.begin() + static_cast<ptrdiff_t>(part * static_cast<double>(all.size()));
  };
  const auto validation = share(kTrainingShare);
  const auto test = share(kTrainingShare + kValidationShare);
  TextParts parts{.training = {all.begin(), validation},
                  .validation = {validation, test},
                  .test = {test, all.end()}};
  // A prediction needs a token before it.
  if (parts.validation.size() < 2 || parts.test.size() < 2) {
    throw FormatError(fmt::format("{} is too short: of its {} {} 5 % are for validation",
                                  path.string(), all.size(), to_string(unit)),
                      "use a longer text, or a folder with train.txt, valid.txt and test.txt");
  }
  return parts;
}

TextVocabulary make_vocabulary(const TextParts& parts, TextUnit unit, int64_t minimum_count) {
  if (unit == TextUnit::kCharacters) {
    std::set<std::string> characters;  // bytes of UTF-8 are in the order of code points
    for (const auto* part : {&parts.training, &parts.validation, &parts.test}) {
      characters.insert(part->begin(), part->end());
    }
    return TextVocabulary(unit, {characters.begin(), characters.end()});
  }
  std::map<std::string, int64_t> counts;
  for (const std::string& word : parts.training) ++counts[word];
  std::vector<std::pair<std::string, int64_t>> frequent;
  for (const auto& [word, count] : counts) {
    if (count >= minimum_count || word == kUnknown) frequent.emplace_back(word, count);
  }
  if (!counts.contains(kUnknown)) frequent.emplace_back(kUnknown, 0);
  std::ranges::stable_sort(frequent, std::ranges::greater{},
                           &std::pair<std::string, int64_t>::second);
  std::vector<std::string> words;
  for (auto& [word, count] : frequent) words.push_back(word);
  return TextVocabulary(unit, std::move(words));
}

}  // namespace striate
