#pragma once

#include <string>

#include "striate/sequence/words.h"

namespace striate {

/// The tokens that caption metrics count: those of the Penn Treebank in lower case and without
/// punctuation, as pycocoevalcap has them from Stanford's PTBTokenizer 3.4.1. docs/text-metrics.md
/// has the rule, how often it differs on real captions, and where.
/// @throws std::invalid_argument  the text is not UTF-8.
Tokens caption_tokens(const std::string& caption);

}  // namespace striate
