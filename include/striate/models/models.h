#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "striate/graph/graph.h"

namespace striate {

/// What every builder takes.
struct ModelOptions {
  Shape input;  ///< (C, H, W)
  int64_t classes = 0;
};

/// One network of the registry.
struct ModelEntry {
  std::string name;   ///< "resnet50", "resnet50@paper"
  std::string form;   ///< one line: what it is, and which form of the paper's network
  std::string paper;  ///< key of docs/papers.bib
  ModelOptions defaults;
  std::string recipe;      ///< the recipe that trains it when none is named
  std::string preprocess;  ///< how published weights want their images
  Graph (*build)(const ModelOptions&);
};

/// Every network, in the order of the papers.
const std::vector<ModelEntry>& model_registry();
std::vector<std::string> model_names();

/// @throws LookupError  no model has that name (the message gives the nearest).
const ModelEntry& find_model(const std::string& name);

/// Builds a network. Empty fields of `options` take the entry's defaults.
/// @throws LookupError  no such model; ShapeError  the input does not fit it.
Graph build_model(const std::string& name, ModelOptions options = {});

}  // namespace striate
