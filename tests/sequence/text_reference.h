#pragma once

#include <sstream>

#include "image/reference.h"
#include "striate/sequence/words.h"

namespace striate {

/// Sums of a corpus are taken in another order than in Python.
inline constexpr double kMetricTolerance = 1e-6;

/// What tools/reference/text.py wrote.
inline const Json& text_reference() {
  static const Json json = read_json(Reference::folder() / "text.json");
  return json;
}

/// Tokens with spaces between.
inline Tokens tokens_of(const std::string& text) {
  std::istringstream stream(text);
  Tokens tokens;
  for (std::string token; stream >> token;) tokens.push_back(token);
  return tokens;
}

inline std::string text_of(const Tokens& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += (text.empty() ? "" : " ") + token;
  return text;
}

}  // namespace striate
