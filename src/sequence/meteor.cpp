// M. Denkowski, A. Lavie: Meteor Universal: Language Specific Translation Evaluation for Any Target
// Language, 2014, https://aclanthology.org/W14-3348. Departures: only the stages exact and stem.
#include <algorithm>
#include <cmath>

#include "sequence/check_cases.h"
#include "sequence/meteor_words.h"
#include "striate/sequence/caption_metrics.h"

namespace striate {

namespace {

// Table 1 for English, version 1.5.
constexpr double kAlpha = 0.85;
constexpr double kBeta = 0.2;
constexpr double kGamma = 0.6;
constexpr double kDelta = 0.75;
constexpr double kStemWeight = 0.6;
constexpr size_t kBeam = 40;

using Words = std::vector<MeteorWord>;

// A word of the hypothesis for a word of the reference.
struct Match {
  size_t hypothesis = 0;
  bool exact = false;
};

// The matches of the reference's words up to some word.
struct Alignment {
  std::vector<std::ptrdiff_t> chosen;  // the hypothesis' word for each of the reference's, or -1
  std::vector<bool> used;              // words of the hypothesis
  size_t exact = 0;
  size_t chunks = 0;
  size_t distance = 0;
  std::ptrdiff_t next = -1;  // the hypothesis' word that goes on the open chunk
};

bool better(const Alignment& a, const Alignment& b) {
  if (a.exact != b.exact) return a.exact > b.exact;
  if (a.chunks != b.chunks) return a.chunks < b.chunks;
  return a.distance < b.distance;
}

std::vector<std::vector<Match>> possible_matches(const Words& hypothesis, const Words& reference) {
  std::vector<std::vector<Match>> matches(reference.size());
  for (size_t j = 0; j < reference.size(); ++j) {
    for (const bool exact : {true, false}) {
      for (size_t i = 0; i < hypothesis.size(); ++i) {
        const bool same = hypothesis[i].text == reference[j].text;
        const bool matching = exact ? same : !same && hypothesis[i].stem == reference[j].stem;
        if (matching) matches[j].push_back({i, exact});
      }
    }
  }
  return matches;
}

void take(Alignment& alignment, size_t word, const Match& match) {
  const auto place = static_cast<std::ptrdiff_t>(match.hypothesis);
  alignment.chosen[word] = place;
  alignment.used[match.hypothesis] = true;
  if (match.exact) ++alignment.exact;
  if (alignment.next != -1 && alignment.next != place) ++alignment.chunks;
  alignment.next = place + 1;
}

size_t distance(size_t word, const Match& match) {
  return std::max(word, match.hypothesis) - std::min(word, match.hypothesis);
}

void close_chunk(Alignment& alignment) {
  if (alignment.next != -1) ++alignment.chunks;
  alignment.next = -1;
}

// Words that could match one word each, and each other only, do.
std::vector<bool> settled_words(const std::vector<std::vector<Match>>& matches,
                                size_t hypothesis_size) {
  std::vector<size_t> uses(hypothesis_size);
  for (const auto& of_word : matches) {
    for (const Match& match : of_word) ++uses[match.hypothesis];
  }
  std::vector<bool> settled;
  for (const auto& of_word : matches) {
    settled.push_back(of_word.size() == 1 && uses[of_word[0].hypothesis] == 1);
  }
  return settled;
}

// Section 2: most words, then fewest chunks, then the shortest distance. As in version 1.5, a stem
// is no word here, and where a word has several matches the distance of each is counted in what is
// tried after it: it decides between a stem and none.
Alignment align(const Words& hypothesis, const Words& reference) {
  const auto matches = possible_matches(hypothesis, reference);
  const std::vector<bool> settled = settled_words(matches, hypothesis.size());
  std::vector<Alignment> beam = {{.chosen = std::vector<std::ptrdiff_t>(reference.size(), -1),
                                  .used = std::vector<bool>(hypothesis.size())}};
  for (size_t j = 0; j < reference.size(); ++j) {
    std::vector<Alignment> longer;
    for (Alignment& alignment : beam) {
      for (const Match& match : matches[j]) {
        if (alignment.used[match.hypothesis]) continue;
        take(longer.emplace_back(alignment), j, match);
        Alignment& counted = settled[j] ? longer.back() : alignment;
        counted.distance += distance(j, match);
      }
      if (settled[j]) continue;
      close_chunk(alignment);
      longer.push_back(std::move(alignment));
    }
    std::ranges::stable_sort(longer, better);
    if (longer.size() > kBeam) longer.resize(kBeam);
    beam = std::move(longer);
  }
  for (Alignment& alignment : beam) close_chunk(alignment);
  return *std::ranges::min_element(beam, better);
}

// Counts that are summed over a corpus. Function words count 1 - delta, others delta.
struct Statistics {
  double hypothesis_length = 0;
  double reference_length = 0;
  double hypothesis_matches = 0;
  double reference_matches = 0;
  double matched_words = 0;
  double chunks = 0;
};

double weight_of(const MeteorWord& word) {
  return word.is_function ? 1 - kDelta : kDelta;
}

Statistics statistics(const Words& hypothesis, const Words& reference) {
  const Alignment alignment = align(hypothesis, reference);
  Statistics result{.chunks = static_cast<double>(alignment.chunks)};
  for (const MeteorWord& word : hypothesis) result.hypothesis_length += weight_of(word);
  for (size_t j = 0; j < reference.size(); ++j) {
    result.reference_length += weight_of(reference[j]);
    if (alignment.chosen[j] < 0) continue;
    const MeteorWord& word = hypothesis[static_cast<size_t>(alignment.chosen[j])];
    const double stage = word.text == reference[j].text ? 1 : kStemWeight;
    result.hypothesis_matches += stage * weight_of(word);
    result.reference_matches += stage * weight_of(reference[j]);
    ++result.matched_words;
  }
  // One chunk that is all of both sentences is no fragment.
  const bool whole = result.matched_words == static_cast<double>(hypothesis.size()) &&
                     hypothesis.size() == reference.size() && alignment.chunks == 1;
  if (whole) result.chunks = 0;
  return result;
}

double score(const Statistics& s) {
  if (s.hypothesis_matches == 0) return 0;
  const double precision = s.hypothesis_matches / s.hypothesis_length;
  const double recall = s.reference_matches / s.reference_length;
  const double mean = precision * recall / (kAlpha * precision + (1 - kAlpha) * recall);
  return mean * (1 - kGamma * std::pow(s.chunks / s.matched_words, kBeta));
}

Statistics best_statistics(const CaptionCase& item) {
  const Words hypothesis = meteor_words(item.hypothesis);
  Statistics best;
  double best_score = -1;
  for (const Tokens& reference : item.references) {
    const Statistics own = statistics(hypothesis, meteor_words(reference));
    const double own_score = score(own);
    if (own_score <= best_score) continue;
    best = own;
    best_score = own_score;
  }
  return best;
}

}  // namespace

double meteor(std::span<const CaptionCase> cases) {
  check_cases(cases);
  Statistics sums;
  for (const CaptionCase& item : cases) {
    const Statistics own = best_statistics(item);
    sums.hypothesis_length += own.hypothesis_length;
    sums.reference_length += own.reference_length;
    sums.hypothesis_matches += own.hypothesis_matches;
    sums.reference_matches += own.reference_matches;
    sums.matched_words += own.matched_words;
    sums.chunks += own.chunks;
  }
  return score(sums);
}

}  // namespace striate
