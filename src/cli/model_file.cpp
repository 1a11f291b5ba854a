#include "cli/model_file.h"

#include <fmt/format.h>

#include <set>

#include "striate/base/error.h"
#include "striate/runtime/network.h"

namespace striate::cli {

namespace fs = std::filesystem;

ModelOptions options_of_weights(const std::string& model, const Weights& weights) {
  const Graph graph = build_model(model);
  ModelOptions options = find_model(model).defaults;
  const auto size = [&](const std::string& key, int64_t axis, int64_t otherwise) {
    const auto found = weights.tensors.find(key);
    if (found == weights.tensors.end() || found->second.dim() <= axis) return otherwise;
    return found->second.size(axis);
  };
  for (const Node& node : graph.nodes()) {
    const auto* conv = std::get_if<Conv2d>(&node.op);
    if (conv == nullptr) continue;
    options.input[0] =
        size(node.name + ".weight", 1, options.input[0] / conv->groups) * conv->groups;
    break;
  }
  const std::string last = graph.node(graph.outputs().front().second).name;
  options.classes = size(last + ".weight", 0, options.classes);
  return options;
}

std::string nearest_model(const Weights& weights) {
  std::set<std::string> keys;
  for (const auto& [key, tensor] : weights.tensors) keys.insert(key);
  std::string nearest;
  double best = 0.5;
  for (const ModelEntry& entry : model_registry()) {
    int64_t common = 0;
    int64_t total = static_cast<int64_t>(keys.size());
    for (const TensorSpec& spec : tensors(entry.build(entry.defaults))) {
      if (spec.kind == TensorSpec::Kind::kCounter && !keys.contains(spec.key)) continue;
      const auto found = weights.tensors.find(spec.key);
      const bool alike = found != weights.tensors.end() &&
                         found->second.dim() == static_cast<int64_t>(spec.shape.size());
      alike ? ++common : ++total;
    }
    const double likeness = static_cast<double>(common) / static_cast<double>(total);
    if (likeness > best) {
      best = likeness;
      nearest = entry.name;
    }
  }
  return nearest;
}

void check_weights_or_explain(const Graph& graph, const Weights& weights,
                              const std::string& origin) {
  try {
    check_weights(graph, weights);
  } catch (const ShapeError& error) {
    const std::string nearest = nearest_model(weights);
    std::string hint = fmt::format("they look like those of {}", nearest);
    if (nearest.empty()) hint = "no network of `striate models` has such weights";
    if (nearest == graph.name()) hint = "the network was built for another input or other classes";
    throw ShapeError(fmt::format("{}: {}", origin, error.what()), hint);
  }
}

Preprocessing find_preprocessing(const std::string& name_or_path) {
  if (!name_or_path.ends_with(".json")) return named_preprocessing(name_or_path);
  return Preprocessing::from_json(read_json(name_or_path), name_or_path);
}

LoadedModel load_model(const fs::path& path, const ModelFileOptions& options) {
  LoadedModel loaded;
  loaded.path = fs::is_directory(path) ? RunFolder{path}.best() : path;
  const std::string origin = loaded.path.string();
  const Weights weights = read_weights(loaded.path);
  loaded.card = card_from_metadata(weights.metadata, origin);

  const bool told = !options.model.empty();
  if (!told && loaded.card.model.empty()) {
    const std::string nearest = nearest_model(weights);
    throw LookupError(fmt::format("{} does not say which network it belongs to", origin),
                      nearest.empty()
                          ? "name it with --model; `striate models` lists the networks"
                          : fmt::format("its weights look like those of --model {}", nearest));
  }
  if (told) loaded.card.model = options.model;
  const ModelOptions own = options_of_weights(loaded.card.model, weights);
  if (loaded.card.input.empty()) loaded.card.input = own.input;
  if (!options.preprocess.empty()) {
    loaded.card.preprocessing = find_preprocessing(options.preprocess);
  } else if (loaded.card.preprocessing.transforms().empty()) {
    loaded.card.preprocessing = named_preprocessing(find_model(loaded.card.model).preprocess);
  }
  loaded.names_its_classes = !loaded.card.class_names.empty();
  for (int64_t k = static_cast<int64_t>(loaded.card.class_names.size()); k < own.classes; ++k) {
    loaded.card.class_names.push_back(std::to_string(k));
  }
  Graph graph =
      build_model(loaded.card.model, {.input = loaded.card.input, .classes = own.classes});
  check_weights_or_explain(graph, weights, origin);
  loaded.network = std::make_shared<Network>(std::move(graph), weights);
  loaded.network->eval();
  return loaded;
}

}  // namespace striate::cli
