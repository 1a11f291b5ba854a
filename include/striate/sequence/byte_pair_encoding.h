#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "striate/sequence/words.h"

namespace striate {

struct BytePairOptions {
  int64_t merges = 10000;
  int64_t least_count = 2;  ///< a pair that is rarer is not merged
};

/// Splits rare words into parts that are frequent. A part that does not end its word ends in `@@`.
/// Learning, file and parts are those of the authors' program subword-nmt 0.3. Source:
/// sennrich2016.
class BytePairEncoding final {
 public:
  using Pair = std::pair<std::string, std::string>;

  /// Learns from tokens: begins with characters and merges the pair that occurs most often within
  /// words, again and again; of equally frequent pairs, the one with the larger bytes.
  /// @throws std::invalid_argument  merges < 1, or least_count < 1.
  static BytePairEncoding learn(std::span<const Tokens> sentences, BytePairOptions options);

  /// From the merges in the order in which they were learned. A symbol that ends a word ends in
  /// `</w>`.
  explicit BytePairEncoding(std::vector<Pair> merges);

  const std::vector<Pair>& merges() const { return merges_; }

  Tokens encode(const Tokens& words) const;
  /// The words of parts. What would go on and ends is a word as it is.
  static Tokens decode(const Tokens& parts);

 private:
  std::vector<std::string> split(const std::string& word) const;

  std::vector<Pair> merges_;
  std::map<Pair, size_t> ranks_;
};

/// A text file: `#version: 0.2`, then a merge on each line, its two symbols with a space between.
void write_merges(const BytePairEncoding& encoding, const std::filesystem::path& path);
/// @throws IoError  it can't be read; FormatError  it is no such file, with the line.
BytePairEncoding read_merges(const std::filesystem::path& path);

}  // namespace striate
