// The words of captions: the Penn Treebank's tokens as Stanford's PTBTokenizer 3.4.1 has them with
// -lowerCase, less the punctuation that pycocoevalcap drops. Its grammar of some hundred rules is
// cut to what captions hold: no web addresses, no smileys, no symbols of currencies made into $.
#include "striate/sequence/caption_tokens.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "sequence/unicode.h"

namespace striate {

namespace {

using Points = std::u32string;
using View = std::u32string_view;

// A period behind these is theirs. Single letters joined by periods are known by their form.
constexpr std::array<View, 66> kAbbreviations = {
    U"adm",  U"al",   U"apr",   U"ariz", U"assn", U"assoc", U"asst", U"atty", U"aug",  U"ave",
    U"blvd", U"bros", U"calif", U"capt", U"cf",   U"cmdr",  U"co",   U"col",  U"colo", U"conn",
    U"corp", U"dec",  U"dept",  U"dr",   U"est",  U"etc",   U"feb",  U"fla",  U"fri",  U"ft",
    U"gen",  U"gov",  U"hon",   U"inc",  U"ind",  U"jan",   U"jr",   U"jul",  U"jun",  U"lt",
    U"ltd",  U"maj",  U"mar",   U"mich", U"minn", U"mon",   U"mr",   U"mrs",  U"ms",   U"mt",
    U"nov",  U"oct",  U"ph.d",  U"prof", U"rd",   U"rep",   U"rev",  U"sen",  U"sept", U"sgt",
    U"sr",   U"st",   U"tenn",  U"thu",  U"univ", U"vs"};

// Words that the Treebank splits, and how long their first part is.
constexpr std::array<std::pair<View, size_t>, 6> kSplitWords = {
    {{U"cannot", 3}, {U"gimme", 3}, {U"gonna", 3}, {U"gotta", 3}, {U"lemme", 3}, {U"wanna", 3}}};

constexpr std::array<View, 6> kClitics = {U"s", U"m", U"d", U"re", U"ve", U"ll"};
// What may stand alone behind an apostrophe.
constexpr std::array<View, 3> kAfterApostrophe = {U"n'", U"n", U"em"};

constexpr std::array<std::pair<char32_t, const char*>, 6> kBrackets = {{{U'(', "-lrb-"},
                                                                        {U')', "-rrb-"},
                                                                        {U'[', "-lsb-"},
                                                                        {U']', "-rsb-"},
                                                                        {U'{', "-lcb-"},
                                                                        {U'}', "-rcb-"}}};

constexpr std::array<std::pair<View, View>, 13> kReplaced = {{{U"&amp;", U"&"},
                                                              {U"&quot;", U"\""},
                                                              {U"&lt;", U"<"},
                                                              {U"&gt;", U">"},
                                                              {U"\u2018", U"'"},
                                                              {U"\u2019", U"'"},
                                                              {U"\u00B4", U"'"},
                                                              {U"\u201C", U"\""},
                                                              {U"\u201D", U"\""},
                                                              {U"\u2013", U"--"},
                                                              {U"\u2014", U"--"},
                                                              {U"\u2026", U"..."},
                                                              {U"\u00AD", U""}}};

Points normalized(Points text) {
  for (const auto& [from, to] : kReplaced) {
    for (size_t at = text.find(from); at != Points::npos; at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
    }
  }
  return text;
}

Points lowered(View text) {
  Points lower(text);
  for (char32_t& point : lower) point = lower_case(point);
  return lower;
}

// "u.s", "a": a period behind it is a part of it.
bool is_initials(View word) {
  for (size_t i = 0; i < word.size(); ++i) {
    if (i % 2 == 0 ? !is_letter(word[i]) : word[i] != U'.') return false;
  }
  return word.size() % 2 == 1;
}

class Scanner {
 public:
  explicit Scanner(View text) : text_(text) {}

  Tokens scan() {
    while (at_ < text_.size()) step();
    return std::move(tokens_);
  }

 private:
  char32_t point(size_t at) const { return at < text_.size() ? text_[at] : U' '; }
  bool is_word(size_t at) const { return is_word_point(point(at)) || point(at) == U'_'; }
  bool starts_token() const { return at_ == 0 || is_space(text_[at_ - 1]); }

  // The text up to `end` becomes a token.
  void take(size_t end) {
    if (end > at_) tokens_.push_back(to_utf8(lowered(text_.substr(at_, end - at_))));
    at_ = end;
  }

  void step() {
    const char32_t here = text_[at_];
    const auto* bracket =
        std::ranges::find(kBrackets, here, &std::pair<char32_t, const char*>::first);
    const bool is_signed = (here == U'-' || here == U'+') && starts_token();
    if (is_word(at_) || ((is_signed || here == U'.') && is_digit(point(at_ + 1)))) {
      take_word();
    } else if (here == U'\'') {
      take_apostrophe();
    } else if (here == U'!' || here == U'?') {
      take_cries();
    } else if (bracket != kBrackets.end()) {
      tokens_.emplace_back(bracket->second);
      ++at_;
    } else if (is_space(here) || View(U".,:;-\"`").find(here) != View::npos) {
      ++at_;
    } else {
      take(at_ + 1);
    }
  }

  // Whether a mark between two characters of words makes them one.
  bool joins(size_t at) const {
    const char32_t before = point(at - 1);
    const char32_t after = point(at + 1);
    switch (point(at)) {
      case U'-':
      case U'.':
      case U'/':
      case U'@':
        return true;
      case U',':
      case U':':
        return is_digit(before) && is_digit(after);
      case U'&':  // AT&T, but black&white
        return is_upper_case(before) && is_upper_case(after);
      case U'\'':  // o'clock, hors d'oeuvres
        return at == at_ + 1 && View(U"dlo").find(lower_case(before)) != View::npos &&
               is_letter(after);
      default:
        return false;
    }
  }

  size_t word_end() const {
    size_t end = at_ + 1;
    while (is_word(end) || (is_word(end - 1) && is_word(end + 1) && joins(end))) ++end;
    return end;
  }

  bool has_clitic(size_t apostrophe, View clitic) const {
    return point(apostrophe) == U'\'' &&
           lowered(text_.substr(apostrophe + 1, clitic.size())) == clitic &&
           !is_word(apostrophe + 1 + clitic.size());
  }

  void take_word() {
    const size_t end = word_end();
    const Points word = lowered(text_.substr(at_, end - at_));
    if (has_clitic(end, U"t") && word.size() > 1 && word.back() == U'n') {
      take(end - 1);
      return take(end + 2);  // n't
    }
    const bool abbreviated =
        is_initials(word) || std::ranges::binary_search(kAbbreviations, View(word));
    if (point(end) == U'.' && abbreviated) return take(end + 1);
    for (const auto& [whole, length] : kSplitWords) {
      if (word == whole) take(at_ + length);
    }
    take(end);
    for (const View clitic : kClitics) {
      if (has_clitic(end, clitic)) return take(end + 1 + clitic.size());
    }
  }

  void take_apostrophe() {
    for (const View word : kAfterApostrophe) {
      if (has_clitic(at_, word)) return take(at_ + 1 + word.size());
    }
    if (!starts_token()) {
      ++at_;
      return;
    }
    for (const View clitic : kClitics) {
      if (has_clitic(at_, clitic)) return take(at_ + 1 + clitic.size());
    }
    const bool is_decade = is_digit(point(at_ + 1)) && is_digit(point(at_ + 2));
    if (!is_decade) {
      ++at_;
      return;
    }
    const size_t end = at_ + 3 + (lower_case(point(at_ + 3)) == U's' ? 1 : 0);  // '90s
    is_word(end) ? void(++at_) : take(end);
  }

  // One mark is punctuation, several are a token.
  void take_cries() {
    size_t end = at_;
    while (point(end) == U'!' || point(end) == U'?') ++end;
    end - at_ > 1 ? take(end) : void(++at_);
  }

  View text_;
  size_t at_ = 0;
  Tokens tokens_;
};

}  // namespace

Tokens caption_tokens(const std::string& caption) {
  const Points text = normalized(code_points(caption));
  return Scanner(text).scan();
}

}  // namespace striate
