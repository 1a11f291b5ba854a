#include "sequence/ngrams.h"

#include <algorithm>

namespace striate {

NgramCounts count_ngrams(const Tokens& tokens, size_t n) {
  NgramCounts counts;
  for (size_t first = 0; first + n <= tokens.size(); ++first) {
    std::string ngram = tokens[first];
    for (size_t i = first + 1; i < first + n; ++i) ngram += " " + tokens[i];
    ++counts[ngram];
  }
  return counts;
}

NgramMatches match_ngrams(const Tokens& hypothesis, const std::vector<Tokens>& references) {
  NgramMatches matches;
  for (size_t n = 1; n <= 4; ++n) {
    NgramCounts most;
    for (const Tokens& reference : references) {
      for (const auto& [ngram, count] : count_ngrams(reference, n)) {
        most[ngram] = std::max(most[ngram], count);
      }
    }
    matches.total[n - 1] = ngram_total(hypothesis, n);
    for (const auto& [ngram, count] : count_ngrams(hypothesis, n)) {
      const auto found = most.find(ngram);
      if (found != most.end()) matches.correct[n - 1] += std::min(count, found->second);
    }
  }
  return matches;
}

int64_t closest_length(const Tokens& hypothesis, const std::vector<Tokens>& references) {
  const auto length = static_cast<int64_t>(hypothesis.size());
  std::pair<int64_t, int64_t> closest = {INT64_MAX, 0};
  for (const Tokens& reference : references) {
    const auto other = static_cast<int64_t>(reference.size());
    closest = std::min(closest, {std::abs(other - length), other});
  }
  return closest.second;
}

}  // namespace striate
