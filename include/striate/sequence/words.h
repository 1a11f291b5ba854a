#pragma once

#include <string>
#include <vector>

namespace striate {

/// The words and marks of a sentence, each UTF-8 and without white space.
using Tokens = std::vector<std::string>;

struct WordOptions {
  bool lower_case = true;
};

/// Splits a text so that `join_words` gives it back, with one space where there was white space.
///
/// Letters, digits and the marks on them (Unicode's categories L, N, M) that follow each other are
/// a word; every other character but white space is a token of its own. Such a mark has a joiner,
/// U+FFED, on each side on which it touches: "Well, don't." is Well ￭, don ￭'￭ t ￭. Of two marks
/// that touch, the second has the joiner. Words never have one, so that a word is one entry of a
/// vocabulary, wherever it stands. A joiner in the text itself becomes U+25A0.
/// @throws std::invalid_argument  the text is not UTF-8.
Tokens split_words(const std::string& text, WordOptions options = {});

/// The text of tokens, whose joiners say where there is no space.
std::string join_words(const Tokens& tokens);

}  // namespace striate
