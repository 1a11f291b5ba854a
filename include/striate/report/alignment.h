#pragma once

#include <string>
#include <vector>

namespace striate {

/// How much each word of one sentence looked at each of another.
struct Alignment {
  std::string title;
  std::vector<std::string> columns;          // what was looked at
  std::vector<std::string> rows;             // what looked
  std::vector<std::vector<double>> weights;  // [row][column], each in [0, 1]
};

/// A matrix of words against words, the darker the larger the weight, as one SVG document that
/// needs no other file. It follows the reader's light or dark preference; texts are escaped.
/// @throws std::invalid_argument  the weights do not fit the words.
/// Source: bahdanau2015, Fig. 3.
std::string alignment_svg(const Alignment& alignment);

}  // namespace striate
