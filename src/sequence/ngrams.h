#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "striate/sequence/words.h"

namespace striate {

/// How often every run of n tokens occurs. Tokens hold no spaces, so that a run is its tokens with
/// spaces between.
using NgramCounts = std::unordered_map<std::string, int64_t>;

NgramCounts count_ngrams(const Tokens& tokens, size_t n);

/// How many runs of n tokens there are.
inline int64_t ngram_total(const Tokens& tokens, size_t n) {
  return tokens.size() < n ? 0 : static_cast<int64_t>(tokens.size() - n + 1);
}

/// For every order 1 to 4 how many runs a hypothesis has, and how many of them any one reference
/// has, each as often as that reference has it at most. Source: papineni2002, section 2.1.
struct NgramMatches {
  int64_t correct[4] = {};
  int64_t total[4] = {};
};
NgramMatches match_ngrams(const Tokens& hypothesis, const std::vector<Tokens>& references);

/// The length of the reference that is closest in length; of two equally close, the shorter.
int64_t closest_length(const Tokens& hypothesis, const std::vector<Tokens>& references);

}  // namespace striate
