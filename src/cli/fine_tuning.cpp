#include "cli/fine_tuning.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/command.h"
#include "cli/model_file.h"
#include "striate/graph/analysis.h"
#include "striate/runtime/initialize.h"
#include "striate/training/classification.h"

namespace striate::cli {

namespace {

constexpr size_t kMostNamed = 6;

// "a, b, c and 4 more".
std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMostNamed); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kMostNamed) text += fmt::format(" and {} more", names.size() - kMostNamed);
  return text;
}

// The tensors whose shape the number of classes decides: the last layer before each output.
std::set<std::string> class_tensors(const Graph& graph) {
  std::set<std::string> keys;
  for (const auto& [name, value] : graph.outputs()) {
    for (const TensorSpec& spec : tensors(graph, last_weighted(graph, value))) {
      keys.insert(spec.key);
    }
  }
  return keys;
}

// What the network leaves out unless its auxiliary heads are asked for: weights may lack them.
std::vector<std::string> head_prefixes(const RunConfig& config) {
  return build_model(config.model, {.input = config.input,
                                    .classes = static_cast<int64_t>(config.class_names.size())})
      .left_out;
}

bool starts_with_any(const std::string& key, const std::vector<std::string>& prefixes) {
  return std::ranges::any_of(prefixes,
                             [&](const std::string& prefix) { return key.starts_with(prefix); });
}

// Why a last layer can't be taken; "" where it can.
std::string other_classes(const at::Tensor& tensor, const Shape& shape, bool other_names) {
  if (shape.empty() || tensor.dim() != static_cast<int64_t>(shape.size())) return "";
  if (tensor.size(0) != shape[0]) {
    return fmt::format("the file's is for {} classes, the data has {}", tensor.size(0), shape[0]);
  }
  return other_names ? "the file's classes have other names than the data's" : "";
}

// What a file's weights became.
struct Fitted {
  Weights weights;
  int64_t taken = 0;
  std::vector<std::string> replaced;  // by new ones, with the reason
  std::vector<std::string> missing;   // new, as the file has none
  std::vector<std::string> unused;    // in the file only
};

Fitted fit(Weights weights, const Graph& graph, const RunConfig& config) {
  const std::set<std::string> last_layers = class_tensors(graph);
  const std::vector<std::string> heads = head_prefixes(config);
  const auto names = card_from_metadata(weights.metadata, config.initial_weights).class_names;
  const bool other_names = !names.empty() && names != config.class_names;
  Fitted fitted;
  std::set<std::string> known;
  for (const TensorSpec& spec : tensors(graph)) {
    known.insert(spec.key);
    const auto found = weights.tensors.find(spec.key);
    if (found == weights.tensors.end()) {
      if (!starts_with_any(spec.key, heads)) continue;  // check_weights says whether it may lack
      fitted.missing.push_back(spec.key);
      weights.tensors[spec.key] = initial_value(spec, config.seed);
      continue;
    }
    const std::string reason =
        last_layers.contains(spec.key) ? other_classes(found->second, spec.shape, other_names) : "";
    if (reason.empty()) {
      ++fitted.taken;
      continue;
    }
    fitted.replaced.push_back(fmt::format("{} ({})", spec.key, reason));
    found->second = initial_value(spec, config.seed);
  }
  for (const auto& [key, tensor] : weights.tensors) {
    if (!known.contains(key)) fitted.unused.push_back(key);
  }
  fitted.weights = std::move(weights);
  return fitted;
}

}  // namespace

Weights initial_weights(const RunConfig& config) {
  const std::string& path = config.initial_weights;
  const Graph graph = training_graph(config);
  Fitted fitted = fit(read_weights(path), graph, config);
  check_weights_or_explain(graph, fitted.weights, path);
  std::string text = fmt::format("{} tensors are taken from {}", fitted.taken, path);
  if (!fitted.replaced.empty()) text += "; new: " + listed(fitted.replaced);
  if (!fitted.missing.empty()) text += "; new, as the file has none: " + listed(fitted.missing);
  if (!fitted.unused.empty()) text += "; in the file but not used: " + listed(fitted.unused);
  note(text);
  return std::move(fitted.weights);
}

}  // namespace striate::cli
