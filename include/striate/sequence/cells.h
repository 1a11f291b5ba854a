#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "striate/sequence/language_model.h"

namespace striate {

/// What every cell of a language model held after each token of a text.
/// @param tokens  (T) int64
/// @return        (T, layers, H) in [-1, 1]: tanh(c) of an LSTM, h of the other cells
/// Source: karpathy2015, 4.2.
at::Tensor record_cells(LanguageModel& model, const at::Tensor& tokens);

/// Something that a reader can tell of each token of a text.
struct TextProperty {
  std::string name;
  std::vector<double> values;  ///< of each token
};
/// Where in its line and its word each character stands, whether it is inside quotes or brackets, a
/// capital, a mark …; those that are the same all along the text are left out.
std::vector<TextProperty> text_properties(const std::vector<std::string>& characters);

/// The cell that goes most along with a property.
struct CellMeaning {
  std::string property;
  int64_t layer = 0;
  int64_t cell = 0;
  double correlation = 0;  ///< Pearson's, over the text
};
/// One for each property. @param cells  as `record_cells` gives them.
std::vector<CellMeaning> find_meanings(const at::Tensor& cells,
                                       const std::vector<TextProperty>& properties);

}  // namespace striate
