#include "striate/sequence/cells.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace striate {
namespace {

constexpr double kRounding = 1e-6;  // float32

const std::vector<double>& values_of(const std::vector<TextProperty>& properties,
                                     const std::string& name) {
  for (const TextProperty& property : properties) {
    if (property.name == name) return property.values;
  }
  throw std::logic_error("no property " + name);
}

std::vector<TextProperty> properties_of(const std::string& text) {
  return text_properties(split_tokens(text, TextUnit::kCharacters, "a text"));
}

TEST(RecordCells, HoldsTheStateAfterEachToken) {
  for (const Cell cell : {Cell::kRnn, Cell::kLstm, Cell::kGru}) {
    LanguageModel model(cell, 7, {.embedding_size = 3, .hidden_size = 5, .layers = 2}, 1);
    const at::Tensor tokens = at::tensor({1, 4, 2, 6, 0}, at::kLong);
    const at::Tensor cells = record_cells(model, tokens);
    EXPECT_EQ(cells.sizes(), at::IntArrayRef({5, 2, 5}));
    EXPECT_TRUE(model.is_training());
    at::NoGradGuard no_grad;
    for (int64_t t = 0; t < 5; ++t) {
      const RecurrentState state = model.forward(tokens.slice(0, 0, t + 1).unsqueeze(1)).state;
      const at::Tensor wanted = (cell == Cell::kLstm ? state.c.tanh() : state.h).squeeze(1);
      EXPECT_LT((cells[t] - wanted).abs().max().item<double>(), kRounding);
    }
  }
}

TEST(TextProperties, AreWhatAReaderSees) {
  const auto properties = properties_of("Ab \"c\n (d)");
  EXPECT_EQ(values_of(properties, "place in the line"),
            (std::vector<double>{1, 2, 3, 4, 5, 0, 1, 2, 3, 4}));
  EXPECT_EQ(values_of(properties, "place in the word"),
            (std::vector<double>{1, 2, 0, 0, 1, 0, 0, 0, 1, 0}));
  EXPECT_EQ(values_of(properties, "inside quotes"),
            (std::vector<double>{0, 0, 0, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(values_of(properties, "inside brackets"),
            (std::vector<double>{0, 0, 0, 0, 0, 0, 0, 1, 1, 0}));
  EXPECT_EQ(values_of(properties, "spaces before the line"),
            (std::vector<double>{0, 0, 0, 0, 0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(values_of(properties, "a capital"),
            (std::vector<double>{1, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(TextProperties, WhatNeverChangesIsLeftOut) {
  for (const TextProperty& property : properties_of("abc abc")) {
    EXPECT_NE(property.name, "inside quotes");
    EXPECT_NE(property.name, "a digit");
  }
}

TEST(FindMeanings, FindsTheCellThatFollowsAProperty) {
  const auto properties = properties_of("one (two) three\nfour (five six) seven 8\n");
  const auto length = static_cast<int64_t>(properties.front().values.size());
  at::manual_seed(1);
  const at::Tensor cells = at::rand({length, 2, 9}) * 2 - 1;
  const auto plant = [&](const std::string& name, int64_t layer, int64_t cell, double factor) {
    std::vector<double> values = values_of(properties, name);
    cells.select(1, layer).select(1, cell).copy_(at::tensor(values, at::kDouble) * factor);
  };
  plant("inside brackets", 1, 4, 0.5);
  plant("place in the line", 0, 7, -0.01);
  int found = 0;
  for (const CellMeaning& meaning : find_meanings(cells, properties)) {
    if (meaning.property == "inside brackets") {
      EXPECT_EQ(meaning.layer, 1);
      EXPECT_EQ(meaning.cell, 4);
      EXPECT_NEAR(meaning.correlation, 1, kRounding);
      ++found;
    }
    if (meaning.property == "place in the line") {
      EXPECT_EQ(meaning.layer, 0);
      EXPECT_EQ(meaning.cell, 7);
      EXPECT_NEAR(meaning.correlation, -1, kRounding);
      ++found;
    }
  }
  EXPECT_EQ(found, 2);
}

}  // namespace
}  // namespace striate
