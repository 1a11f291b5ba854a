#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "striate/graph/graph.h"

namespace striate {

/// What every builder takes.
struct ModelOptions {
  Shape input;  ///< (C, H, W)
  int64_t classes = 0;
  /// GoogLeNet's classifiers on the way, outputs "aux1" and "aux2". They serve training only.
  bool auxiliary_heads = false;
  /// Residual networks: how likely the last block is there in a step of training; earlier blocks
  /// linearly nearer to 1 (huang2016, eq. 4). 0: the entry's default, which for most is 1.
  double final_survival = 0;
};

/// One network of the registry.
struct ModelEntry {
  std::string name;   ///< "resnet50", "resnet50@paper"
  std::string form;   ///< one line: what it is, and which form of the paper's network
  std::string paper;  ///< key of docs/papers.bib
  ModelOptions defaults;
  std::string recipe;      ///< the recipe that trains it when none is named
  std::string preprocess;  ///< how published weights want their images
  std::function<Graph(const ModelOptions&)> build;
};

/// Every network, in the order of the papers.
const std::vector<ModelEntry>& model_registry();
std::vector<std::string> model_names();

/// @throws LookupError  no model has that name (the message gives the nearest).
const ModelEntry& find_model(const std::string& name);

/// Builds a network. Empty fields of `options` take the entry's defaults.
/// @throws LookupError  no such model; ShapeError  the input does not fit it, naming the smallest
/// that does; std::invalid_argument  it has no auxiliary heads, or no residual blocks, and they are
/// asked for.
Graph build_model(const std::string& name, ModelOptions options = {});

}  // namespace striate
