// R. Sennrich, B. Haddow, A. Birch: Neural Machine Translation of Rare Words with Subword Units,
// 2016, https://arxiv.org/abs/1508.07909. Departure, as in the authors' later program: the end of a
// word is a part of its last character.
#include "striate/sequence/byte_pair_encoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "sequence/unicode.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/sequence/sentence_pairs.h"

namespace striate {

namespace {

constexpr const char* kWordEnd = "</w>";
constexpr size_t kWordEndLength = 4;
constexpr const char* kGoesOn = "@@";
constexpr const char* kVersion = "#version: 0.2";

using Pair = BytePairEncoding::Pair;
using Symbols = std::vector<std::string>;

Symbols characters(const std::string& word) {
  Symbols symbols;
  for (const char32_t point : code_points(word)) symbols.push_back(to_utf8({&point, 1}));
  if (!symbols.empty()) symbols.back() += kWordEnd;
  return symbols;
}

// Every occurrence of the pair, from the left, becomes one symbol.
void merge(Symbols& symbols, const Pair& pair) {
  Symbols merged;
  for (size_t i = 0; i < symbols.size(); ++i) {
    if (i + 1 < symbols.size() && symbols[i] == pair.first && symbols[i + 1] == pair.second) {
      merged.push_back(symbols[i] + symbols[i + 1]);
      ++i;
    } else {
      merged.push_back(std::move(symbols[i]));
    }
  }
  symbols = std::move(merged);
}

// The words of a text with their counts, and how often each pair of symbols occurs in them.
class Learner {
 public:
  explicit Learner(std::span<const Tokens> sentences) {
    std::map<std::string, int64_t> counts;
    for (const Tokens& sentence : sentences) {
      for (const std::string& word : sentence) ++counts[word];
    }
    for (const auto& [word, count] : counts) {
      words_.push_back({characters(word), count});
      add_pairs(words_.size() - 1, count);
    }
  }

  // The most frequent pair with its count; {} and 0 where no word has two symbols.
  std::pair<int64_t, Pair> most_frequent() const {
    return by_count_.empty() ? std::pair<int64_t, Pair>{} : *by_count_.rbegin();
  }

  void merge_everywhere(const Pair& pair) {
    const std::set<size_t> places = pairs_.at(pair).words;
    for (const size_t word : places) {
      add_pairs(word, -words_[word].count);
      merge(words_[word].symbols, pair);
      add_pairs(word, words_[word].count);
    }
  }

 private:
  struct Word {
    Symbols symbols;
    int64_t count;
  };
  struct Occurrences {
    int64_t count = 0;
    std::set<size_t> words;
  };

  // Adds to the counts of the pairs in a word, or takes from them where `count` is negative.
  void add_pairs(size_t word, int64_t count) {
    const Symbols& symbols = words_[word].symbols;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const Pair pair = {symbols[i], symbols[i + 1]};
      Occurrences& occurrences = pairs_[pair];
      by_count_.erase({occurrences.count, pair});
      occurrences.count += count;
      count > 0 ? void(occurrences.words.insert(word)) : void(occurrences.words.erase(word));
      if (occurrences.count > 0) by_count_.insert({occurrences.count, pair});
    }
  }

  std::vector<Word> words_;
  std::map<Pair, Occurrences> pairs_;
  std::set<std::pair<int64_t, Pair>> by_count_;
};

}  // namespace

BytePairEncoding BytePairEncoding::learn(std::span<const Tokens> sentences,
                                         BytePairOptions options) {
  if (options.merges < 1 || options.least_count < 1) {
    throw std::invalid_argument(fmt::format("{} merges of pairs that occur {} times at least",
                                            options.merges, options.least_count));
  }
  Learner learner(sentences);
  std::vector<Pair> merges;
  while (static_cast<int64_t>(merges.size()) < options.merges) {
    const auto [count, pair] = learner.most_frequent();
    if (count < options.least_count) break;
    learner.merge_everywhere(pair);
    merges.push_back(pair);
  }
  return BytePairEncoding(std::move(merges));
}

BytePairEncoding::BytePairEncoding(std::vector<Pair> merges) : merges_(std::move(merges)) {
  for (size_t i = 0; i < merges_.size(); ++i) ranks_.emplace(merges_[i], i);
}

std::vector<std::string> BytePairEncoding::split(const std::string& word) const {
  Symbols symbols = characters(word);
  while (true) {
    auto first = ranks_.end();
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = ranks_.find({symbols[i], symbols[i + 1]});
      if (found == ranks_.end()) continue;
      if (first == ranks_.end() || found->second < first->second) first = found;
    }
    if (first == ranks_.end()) return symbols;
    merge(symbols, first->first);
  }
}

Tokens BytePairEncoding::encode(const Tokens& words) const {
  Tokens parts;
  for (const std::string& word : words) {
    for (std::string& symbol : split(word)) {
      const bool ends = symbol.ends_with(kWordEnd);
      if (ends) symbol.resize(symbol.size() - kWordEndLength);
      parts.push_back(ends ? symbol : symbol + kGoesOn);
    }
  }
  return parts;
}

Tokens BytePairEncoding::decode(const Tokens& parts) {
  Tokens words;
  bool goes_on = false;
  for (const std::string& part : parts) {
    if (!goes_on) words.emplace_back();
    goes_on = part.size() > 2 && part.ends_with(kGoesOn);
    words.back() += part.substr(0, part.size() - (goes_on ? 2 : 0));
  }
  return words;
}

void write_merges(const BytePairEncoding& encoding, const std::filesystem::path& path) {
  std::string text = std::string(kVersion) + "\n";
  for (const auto& [first, second] : encoding.merges()) text += first + " " + second + "\n";
  write_file_atomically(path, text);
}

BytePairEncoding read_merges(const std::filesystem::path& path) {
  const std::vector<std::string> lines = read_sentences(path);
  if (lines[0] != kVersion) {
    throw FormatError(fmt::format("{} does not begin with \"{}\"", path.string(), kVersion));
  }
  std::vector<Pair> merges;
  for (size_t i = 1; i < lines.size(); ++i) {
    const size_t space = lines[i].find(' ');
    const bool two = space != std::string::npos && space > 0 && space + 1 < lines[i].size() &&
                     lines[i].find(' ', space + 1) == std::string::npos;
    if (!two) {
      throw FormatError(
          fmt::format("{}, line {} is no two symbols: \"{}\"", path.string(), i + 1, lines[i]));
    }
    merges.emplace_back(lines[i].substr(0, space), lines[i].substr(space + 1));
  }
  return BytePairEncoding(std::move(merges));
}

}  // namespace striate
