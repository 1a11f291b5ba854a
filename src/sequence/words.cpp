#include "striate/sequence/words.h"

#include "sequence/unicode.h"

namespace striate {

namespace {

constexpr char32_t kJoiner = 0xFFED;
constexpr char32_t kBlackSquare = 0x25A0;
constexpr const char* kJoinerBytes = "\xEF\xBF\xAD";
constexpr size_t kJoinerLength = 3;

std::string mark_with_joiners(const std::u32string& points, size_t at) {
  std::u32string token;
  const bool touches_left = at > 0 && !is_space(points[at - 1]);
  const bool touches_word = at + 1 < points.size() && is_word_point(points[at + 1]);
  if (touches_left) token += kJoiner;
  token += points[at];
  if (touches_word) token += kJoiner;
  return to_utf8(token);
}

}  // namespace

Tokens split_words(const std::string& text, WordOptions options) {
  std::u32string points = code_points(text);
  for (char32_t& point : points) {
    if (point == kJoiner) point = kBlackSquare;
    if (options.lower_case) point = lower_case(point);
  }
  Tokens tokens;
  size_t at = 0;
  while (at < points.size()) {
    size_t end = at;
    while (end < points.size() && is_word_point(points[end])) ++end;
    if (end > at) {
      tokens.push_back(to_utf8(std::u32string_view(points).substr(at, end - at)));
      at = end;
      continue;
    }
    if (!is_space(points[at])) tokens.push_back(mark_with_joiners(points, at));
    ++at;
  }
  return tokens;
}

std::string join_words(const Tokens& tokens) {
  std::string text;
  bool joined = true;
  for (const std::string& token : tokens) {
    const bool left = token.size() > kJoinerLength && token.starts_with(kJoinerBytes);
    const bool right = token.size() > kJoinerLength && token.ends_with(kJoinerBytes);
    if (!joined && !left) text += ' ';
    const size_t first = left ? kJoinerLength : 0;
    text += token.substr(first, token.size() - first - (right ? kJoinerLength : 0));
    joined = right;
  }
  return text;
}

}  // namespace striate
