// Visualizing and Understanding Recurrent Networks. A. Karpathy, J. Johnson, L. Fei-Fei, 2015.
// https://arxiv.org/abs/1506.02078
#include "striate/sequence/cells.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <functional>

#include "sequence/evaluation_mode.h"

namespace striate {

namespace {

bool is_letter(const std::string& character) {
  const char c = character.front();
  return character.size() > 1 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_one_of(const std::string& character, const char* set) {
  return std::string(set).find(character) != std::string::npos;
}

// A property that is told by what has been read so far.
using Reader = std::function<double(const std::string&)>;

Reader place_in_line() {
  return [place = 0.0](const std::string& character) mutable {
    place = character == "\n" ? 0 : place + 1;
    return place;
  };
}
Reader place_in_word() {
  return [place = 0.0](const std::string& character) mutable {
    place = is_letter(character) ? place + 1 : 0;
    return place;
  };
}
Reader indentation() {
  return [spaces = 0.0, begins = true](const std::string& character) mutable {
    if (character == "\n") {
      spaces = 0;
      begins = true;
    } else if (begins && is_one_of(character, " \t")) {
      ++spaces;
    } else {
      begins = false;
    }
    return spaces;
  };
}
Reader inside_quotes() {
  return [inside = false](const std::string& character) mutable {
    if (character == "\"") inside = !inside;
    return inside ? 1.0 : 0.0;
  };
}
Reader inside_brackets() {
  return [depth = 0](const std::string& character) mutable {
    if (is_one_of(character, "([{")) ++depth;
    if (is_one_of(character, ")]}")) depth = std::max(0, depth - 1);
    return static_cast<double>(depth);
  };
}
Reader since_sentence_began() {
  return [words = 0.0](const std::string& character) mutable {
    if (is_one_of(character, ".!?")) words = 0;
    if (character == " ") ++words;
    return words;
  };
}

}  // namespace

at::Tensor record_cells(LanguageModel& model, const at::Tensor& tokens) {
  at::NoGradGuard no_grad;
  const EvaluationMode mode(model);
  const bool has_c = model.layers().options().cell == Cell::kLstm;
  at::Tensor cells;
  RecurrentState state;
  for (int64_t t = 0; t < tokens.size(0); ++t) {
    state = model.forward(tokens.slice(0, t, t + 1).unsqueeze(1), state).state;
    const at::Tensor value = has_c ? state.c.tanh() : state.h;  // (layers, 1, H)
    if (!cells.defined()) {
      cells = at::empty({tokens.size(0), value.size(0), value.size(2)}, value.options());
    }
    cells[t].copy_(value.squeeze(1));
  }
  return cells;
}

std::vector<TextProperty> text_properties(const std::vector<std::string>& characters) {
  std::vector<std::pair<std::string, Reader>> readers = {
      {"place in the line", place_in_line()},
      {"place in the word", place_in_word()},
      {"words since the sentence began", since_sentence_began()},
      {"spaces before the line", indentation()},
      {"inside quotes", inside_quotes()},
      {"inside brackets", inside_brackets()},
      {"a capital", [](const std::string& c) { return c >= "A" && c <= "Z" ? 1.0 : 0.0; }},
      {"a mark", [](const std::string& c) { return is_one_of(c, ".,;:!?-") ? 1.0 : 0.0; }},
      {"a digit", [](const std::string& c) { return c >= "0" && c <= "9" ? 1.0 : 0.0; }}};
  std::vector<TextProperty> properties;
  for (auto& [name, read] : readers) {
    TextProperty property{.name = name, .values = {}};
    for (const std::string& character : characters) property.values.push_back(read(character));
    const auto [least, most] = std::ranges::minmax(property.values);
    if (least < most) properties.push_back(std::move(property));
  }
  return properties;
}

std::vector<CellMeaning> find_meanings(const at::Tensor& cells,
                                       const std::vector<TextProperty>& properties) {
  const auto standardized = [](const at::Tensor& x) {  // (T, ...), over T
    const at::Tensor centred = x - x.mean(0, /*keepdim=*/true);
    return centred / centred.square().mean(0, /*keepdim=*/true).sqrt().clamp_min(1e-12);
  };
  const int64_t length = cells.size(0);
  const int64_t size = cells.size(2);
  const at::Tensor each = standardized(cells.flatten(1).to(at::kCPU, at::kDouble));
  std::vector<CellMeaning> meanings;
  for (TextProperty property : properties) {
    const at::Tensor values =
        at::from_blob(property.values.data(), {length}, at::TensorOptions(at::kDouble));
    const at::Tensor correlations =
        each.t().matmul(standardized(values)) / static_cast<double>(length);
    const auto best = correlations.abs().argmax().item<int64_t>();
    meanings.push_back({.property = property.name,
                        .layer = best / size,
                        .cell = best % size,
                        .correlation = correlations[best].item<double>()});
  }
  return meanings;
}

}  // namespace striate
