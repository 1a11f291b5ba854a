#pragma once

#include <string>
#include <vector>

namespace striate {

/// A text whose tokens are coloured by a number each.
struct ColoredText {
  std::string title;
  std::string note;
  std::vector<std::string> tokens;
  std::vector<float> values;  ///< in [-1, 1], one for each token: -1 is red, 1 is blue
};

/// A self-contained page of coloured texts, right in light and dark.
/// @throws std::invalid_argument  not one value for each token.
std::string text_page_html(const std::string& title, const std::vector<ColoredText>& texts);

}  // namespace striate
