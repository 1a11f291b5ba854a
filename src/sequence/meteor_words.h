#pragma once

#include <string>

#include "striate/sequence/words.h"

namespace striate {

/// A word as METEOR matches it.
struct MeteorWord {
  std::string text;
  std::string stem;
  bool is_function = false;
};

/// The tokens of a caption as METEOR 1.5 with -norm splits them again: words at hyphens, marks, and
/// periods where they end no abbreviation.
std::vector<MeteorWord> meteor_words(const Tokens& tokens);

}  // namespace striate
