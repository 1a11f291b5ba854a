// K. Papineni, S. Roukos, T. Ward, W.-J. Zhu: BLEU: a Method for Automatic Evaluation of Machine
// Translation, 2002, https://aclanthology.org/P02-1040. Tokens and smoothing, which the paper
// leaves open, are those of M. Post: A Call for Clarity in Reporting BLEU Scores, 2018.
#include "striate/sequence/bleu.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>
#include <string_view>

#include "sequence/ngrams.h"
#include "sequence/unicode.h"

namespace striate {

namespace {

bool is_ascii_digit(char32_t point) {
  return point >= U'0' && point <= U'9';
}

// ASCII's marks, but ' , - and .
bool is_split_off(char32_t point) {
  const bool is_mark = (point >= U' ' && point <= U'/') || (point >= U':' && point <= U'@') ||
                       (point >= U'[' && point <= U'`') || (point >= U'{' && point <= U'~');
  return is_mark && std::u32string_view(U"',-.").find(point) == std::u32string_view::npos;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// The following three scan as a regular expression does: what one match takes is not looked at
// again.

// A period or comma, and what stands before it unless that is a digit.
std::u32string split_after_words(const std::u32string& text) {
  std::u32string result;
  for (size_t i = 0; i < text.size(); ++i) {
    result += text[i];
    const bool stop = i + 1 < text.size() && (text[i + 1] == U'.' || text[i + 1] == U',');
    if (!stop || is_ascii_digit(text[i])) continue;
    result += {U' ', text[i + 1], U' '};
    ++i;
  }
  return result;
}

// A period or comma, and what stands behind it unless that is a digit.
std::u32string split_before_words(const std::u32string& text) {
  std::u32string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool stop = text[i] == U'.' || text[i] == U',';
    if (!stop || i + 1 == text.size() || is_ascii_digit(text[i + 1])) {
      result += text[i];
      continue;
    }
    result += {U' ', text[i], U' ', text[i + 1]};
    ++i;
  }
  return result;
}

// A hyphen behind a digit.
std::u32string split_hyphens(const std::u32string& text) {
  std::u32string result;
  for (size_t i = 0; i < text.size(); ++i) {
    result += text[i];
    if (!is_ascii_digit(text[i]) || i + 1 == text.size() || text[i + 1] != U'-') continue;
    result += {U' ', U'-', U' '};
    ++i;
  }
  return result;
}

Tokens split_at_spaces(const std::u32string& text) {
  Tokens tokens;
  std::u32string token;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && !is_space(text[i])) {
      token += text[i];
    } else if (!token.empty()) {
      tokens.push_back(to_utf8(token));
      token.clear();
    }
  }
  return tokens;
}

void check(std::span<const std::string> hypotheses,
           std::span<const std::vector<std::string>> references) {
  if (hypotheses.empty() || hypotheses.size() != references.size()) {
    throw std::invalid_argument(fmt::format("BLEU of {} sentences with references for {}",
                                            hypotheses.size(), references.size()));
  }
  for (size_t i = 0; i < references.size(); ++i) {
    if (references[i].empty()) {
      throw std::invalid_argument(fmt::format("sentence {} has no reference", i + 1));
    }
  }
}

// Orders without a match count as 1/2, 1/4, ... of one.
void set_precisions(const NgramMatches& sums, BleuScore& score) {
  double smoothing = 1;
  for (size_t n = 0; n < 4 && sums.total[n] > 0; ++n) {
    const auto total = static_cast<double>(sums.total[n]);
    if (sums.correct[n] > 0) {
      score.precisions[n] = 100 * static_cast<double>(sums.correct[n]) / total;
    } else {
      smoothing *= 2;
      score.precisions[n] = 100 / (smoothing * total);
    }
  }
}

}  // namespace

Tokens bleu_tokens(const std::string& sentence) {
  std::string text = sentence;
  replace_all(text, "<skipped>", "");
  // In this order: &amp;lt; is < in the end.
  replace_all(text, "&quot;", "\"");
  replace_all(text, "&amp;", "&");
  replace_all(text, "&lt;", "<");
  replace_all(text, "&gt;", ">");
  std::u32string spaced;
  for (const char32_t point : code_points(" " + text + " ")) {
    if (is_split_off(point)) {
      spaced += {U' ', point, U' '};
    } else {
      spaced += point;
    }
  }
  return split_at_spaces(split_hyphens(split_before_words(split_after_words(spaced))));
}

BleuScore corpus_bleu(std::span<const std::string> hypotheses,
                      std::span<const std::vector<std::string>> references) {
  check(hypotheses, references);
  BleuScore score;
  NgramMatches sums;
  for (size_t i = 0; i < hypotheses.size(); ++i) {
    const Tokens hypothesis = bleu_tokens(hypotheses[i]);
    std::vector<Tokens> split;
    for (const std::string& reference : references[i]) split.push_back(bleu_tokens(reference));
    const NgramMatches matches = match_ngrams(hypothesis, split);
    for (size_t n = 0; n < 4; ++n) {
      sums.correct[n] += matches.correct[n];
      sums.total[n] += matches.total[n];
    }
    score.hypothesis_length += static_cast<int64_t>(hypothesis.size());
    score.reference_length += closest_length(hypothesis, split);
  }
  if (score.hypothesis_length == 0) return score;
  const double ratio =
      static_cast<double>(score.reference_length) / static_cast<double>(score.hypothesis_length);
  score.brevity_penalty = ratio > 1 ? std::exp(1 - ratio) : 1;
  if (sums.correct[0] == 0) return score;
  set_precisions(sums, score);
  double log_sum = 0;
  for (const double precision : score.precisions) log_sum += std::log(precision);
  score.bleu = score.brevity_penalty * std::exp(log_sum / 4);  // 0 where an order has no runs
  return score;
}

}  // namespace striate
