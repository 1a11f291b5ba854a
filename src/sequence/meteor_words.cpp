// The words that METEOR 1.5 makes of a caption's tokens, for M. Denkowski, A. Lavie: Meteor
// Universal: Language Specific Translation Evaluation for Any Target Language, 2014,
// https://aclanthology.org/W14-3348.
#include "sequence/meteor_words.h"

#include <libstemmer.h>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "sequence/unicode.h"

namespace striate {

namespace {

using Points = std::u32string;

// Of a relative frequency above 1e-3 in METEOR's English corpus (section 3.2), less the marks that
// captions' tokens never hold.
constexpr std::array<std::string_view, 85> kFunctionWords = {
    "$",     "'",     "'s",    "'t",     "-",     "--",    "-lrb-", "-rrb-", ":",    "a",
    "about", "after", "all",   "also",   "an",    "and",   "are",   "as",    "at",   "be",
    "been",  "but",   "by",    "can",    "could", "first", "for",   "from",  "had",  "has",
    "have",  "he",    "her",   "his",    "i",     "if",    "in",    "into",  "is",   "it",
    "its",   "last",  "more",  "new",    "no",    "not",   "of",    "on",    "one",  "or",
    "other", "out",   "over",  "people", "s",     "said",  "she",   "so",    "some", "than",
    "that",  "the",   "their", "there",  "they",  "this",  "time",  "to",    "two",  "up",
    "was",   "we",    "were",  "what",   "when",  "which", "who",   "will",  "with", "would",
    "year",  "years", "you",   ".",      "?"};

bool is_function_word(const std::string& word) {
  return std::ranges::find(kFunctionWords, word) != kFunctionWords.end();
}

bool is_ascii_digit(char32_t point) {
  return point >= U'0' && point <= U'9';
}

bool is_word_at(const Points& text, size_t at) {
  return at < text.size() && (is_letter(text[at]) || is_ascii_digit(text[at]));
}

// Every mark but . ' ` , - stands alone.
Points split_marks(const Points& text) {
  Points result;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool stays = is_word_at(text, i) || Points(U".'`,- ").find(text[i]) != Points::npos;
    result += stays ? Points(1, text[i]) : Points{U' ', text[i], U' '};
  }
  return result;
}

// What a match takes is not looked at again: of a-b-c only the first hyphen goes.
Points split_hyphens(const Points& text) {
  Points result;
  for (size_t i = 0; i < text.size(); ++i) {
    result += text[i];
    const bool before = is_word_at(text, i) || text[i] == U'.';
    if (!before || i + 2 >= text.size() || text[i + 1] != U'-' || !is_word_at(text, i + 2))
      continue;
    result += {U' ', text[i + 2]};
    i += 2;
  }
  return result;
}

// 's behind a word keeps its apostrophe, that of a token of its own stands alone.
Points split_apostrophes(const Points& text) {
  Points result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != U'\'') {
      result += text[i];
      continue;
    }
    const bool letter_before = i > 0 && is_letter(text[i - 1]);
    const bool digit_before = i > 0 && is_ascii_digit(text[i - 1]);
    const bool letter_after = i + 1 < text.size() && is_letter(text[i + 1]);
    const bool keeps = letter_after && (letter_before || digit_before);
    result += keeps ? U" '" : U" ' ";
  }
  return result;
}

std::vector<Points> words_of(const Points& text) {
  std::vector<Points> words(1);
  for (const char32_t point : text) {
    if (point != U' ') {
      words.back() += point;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

// Splits the period off a last word; u.s. becomes us; before a word in lower case it stays.
void settle_periods(std::vector<Points>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    Points& word = words[i];
    if (word.size() < 2 || word.back() != U'.') continue;
    const Points stem = word.substr(0, word.size() - 1);
    if (stem.find(U'.') != Points::npos && std::ranges::any_of(stem, is_letter)) {
      std::erase(word, U'.');
      continue;
    }
    const bool goes_on = i + 1 < words.size() && words[i + 1][0] >= U'a' && words[i + 1][0] <= U'z';
    if (goes_on) continue;
    word = stem;
    words.insert(words.begin() + static_cast<int64_t>(i) + 1, Points(U"."));
  }
}

// Snowball's English stemmer; one for each thread, as it keeps its state.
std::string stem_of(const std::string& word) {
  struct Delete {
    void operator()(sb_stemmer* stemmer) const { sb_stemmer_delete(stemmer); }
  };
  thread_local const std::unique_ptr<sb_stemmer, Delete> stemmer(
      sb_stemmer_new("english", "UTF_8"));
  const auto* letters = reinterpret_cast<const sb_symbol*>(word.data());
  const sb_symbol* stem = sb_stemmer_stem(stemmer.get(), letters, static_cast<int>(word.size()));
  return {reinterpret_cast<const char*>(stem),
          static_cast<size_t>(sb_stemmer_length(stemmer.get()))};
}

}  // namespace

std::vector<MeteorWord> meteor_words(const Tokens& tokens) {
  Points text;
  for (const std::string& token : tokens) text += code_points(token) + U' ';
  std::vector<Points> words = words_of(split_apostrophes(split_hyphens(split_marks(text))));
  settle_periods(words);
  std::vector<MeteorWord> result;
  for (const Points& word : words) {
    const std::string bytes = to_utf8(word);
    result.push_back(
        {.text = bytes, .stem = stem_of(bytes), .is_function = is_function_word(bytes)});
  }
  return result;
}

}  // namespace striate
