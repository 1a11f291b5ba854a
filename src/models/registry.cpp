#include <fmt/format.h>

#include <stdexcept>

#include "models/families.h"
#include "striate/base/error.h"
#include "striate/graph/analysis.h"
#include "striate/models/models.h"

namespace striate {

namespace {

std::vector<ModelEntry> collect() {
  std::vector<ModelEntry> table;
  for (const auto family : models::kFamilies) {
    for (ModelEntry& entry : family()) table.push_back(std::move(entry));
  }
  return table;
}

ModelOptions completed(const ModelEntry& entry, ModelOptions options) {
  if (options.input.empty()) options.input = entry.defaults.input;
  if (options.classes == 0) options.classes = entry.defaults.classes;
  if (options.final_survival == 0) options.final_survival = entry.defaults.final_survival;
  if (options.input.size() != 3) {
    throw ShapeError("[input] needs (C, H, W), got " + to_string(options.input));
  }
  if (options.classes < 1) throw ShapeError("[" + entry.name + "] needs at least one class");
  return options;
}

Graph build(const ModelEntry& entry, const ModelOptions& options) {
  Graph graph = entry.build(options);
  if (options.auxiliary_heads && graph.outputs().size() < 2) {
    throw std::invalid_argument(entry.name + " has no auxiliary heads");
  }
  if (options.final_survival == 0 || options.final_survival == 1) return graph;
  return with_stochastic_depth(graph, options.final_survival);
}

bool fits(const ModelEntry& entry, const ModelOptions& options) {
  try {
    build(entry, options);
    return true;
  } catch (const ShapeError&) {
    return false;
  }
}

// The smallest square that the network can be built for, or 0.
int64_t smallest_size(const ModelEntry& entry, ModelOptions options) {
  for (int64_t size = 1; size <= entry.defaults.input[1]; ++size) {
    options.input[1] = options.input[2] = size;
    if (fits(entry, options)) return size;
  }
  return 0;
}

}  // namespace

const std::vector<ModelEntry>& model_registry() {
  static const std::vector<ModelEntry> table = collect();
  return table;
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const ModelEntry& entry : model_registry()) names.push_back(entry.name);
  return names;
}

const ModelEntry& find_model(const std::string& name) {
  for (const ModelEntry& entry : model_registry()) {
    if (entry.name == name) return entry;
  }
  throw unknown_name("model", name, model_names());
}

Graph build_model(const std::string& name, ModelOptions options) {
  const ModelEntry& entry = find_model(name);
  options = completed(entry, std::move(options));
  try {
    Graph graph = build(entry, options);
    verify(graph);
    return graph;
  } catch (const ShapeError& error) {
    const int64_t size = smallest_size(entry, options);
    if (size == 0) throw;
    throw ShapeError(error.what(),
                     fmt::format("the smallest square that {} takes is {}x{}", name, size, size));
  }
}

}  // namespace striate
