#include "striate/sequence/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "striate/base/file.h"
#include "striate/base/json.h"

namespace striate {

namespace {

const std::vector<std::string> kSpecial = {"<pad>", "<unk>", "<bos>", "<eos>"};

using Counts = std::unordered_map<std::string, int64_t>;

Counts count_tokens(std::span<const Tokens> sentences) {
  Counts counts;
  for (const Tokens& sentence : sentences) {
    for (const std::string& token : sentence) ++counts[token];
  }
  for (const std::string& token : kSpecial) counts.erase(token);
  return counts;
}

}  // namespace

Vocabulary::Vocabulary(std::span<const Tokens> sentences, VocabularyOptions options) {
  if (options.most < 0 || options.least_count < 1) {
    throw std::invalid_argument(
        fmt::format("a vocabulary of the {} most frequent tokens that occur {} times at least",
                    options.most, options.least_count));
  }
  const Counts counts = count_tokens(sentences);
  std::vector<std::pair<std::string, int64_t>> kept;
  for (const auto& item : counts) {
    if (item.second >= options.least_count) kept.emplace_back(item);
  }
  std::ranges::sort(kept, [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  const auto most = static_cast<size_t>(options.most);
  if (most > 0 && kept.size() > most) kept.resize(most);
  tokens_ = kSpecial;
  for (auto& item : kept) tokens_.push_back(std::move(item.first));
  number_tokens();
}

Vocabulary::Vocabulary(std::vector<std::string> tokens, const std::string& origin)
    : tokens_(std::move(tokens)) {
  if (tokens_.size() < kSpecial.size() ||
      !std::equal(kSpecial.begin(), kSpecial.end(), tokens_.begin())) {
    throw FormatError(fmt::format("{} does not begin with <pad>, <unk>, <bos> and <eos>", origin));
  }
  number_tokens();
  if (indices_.size() == tokens_.size()) return;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    if (indices_.at(tokens_[i]) != static_cast<int64_t>(i)) {
      throw FormatError(fmt::format("{} holds \"{}\" twice", origin, tokens_[i]));
    }
  }
}

void Vocabulary::number_tokens() {
  for (size_t i = 0; i < tokens_.size(); ++i) indices_[tokens_[i]] = static_cast<int64_t>(i);
}

int64_t Vocabulary::index(const std::string& token) const {
  const auto found = indices_.find(token);
  return found == indices_.end() ? kUnknown : found->second;
}

const std::string& Vocabulary::token(int64_t index) const {
  return tokens_.at(static_cast<size_t>(index));
}

std::vector<int64_t> Vocabulary::encode(const Tokens& tokens) const {
  std::vector<int64_t> indices;
  for (const std::string& token : tokens) indices.push_back(index(token));
  return indices;
}

Tokens Vocabulary::decode(std::span<const int64_t> indices) const {
  Tokens tokens;
  for (const int64_t index : indices) {
    if (index == kEnd) break;
    if (index != kPad && index != kBegin) tokens.push_back(token(index));
  }
  return tokens;
}

void write_vocabulary(const Vocabulary& vocabulary, const std::filesystem::path& path) {
  write_file_atomically(path, Json(vocabulary.tokens()).dump(0) + "\n");
}

Vocabulary read_vocabulary(const std::filesystem::path& path) {
  const Json json = read_json(path);
  const bool is_list = json.is_array() && std::ranges::all_of(json, [](const Json& token) {
                         return token.is_string();
                       });
  if (!is_list) throw FormatError(fmt::format("{} is no list of tokens", path.string()));
  return {json.get<std::vector<std::string>>(), path.string()};
}

}  // namespace striate
