#include "cli/model_file.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include <set>
#include <sstream>
#include <utility>

#include "cli/model_kind.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/graph/analysis.h"
#include "striate/image/codec.h"
#include "striate/runtime/network.h"

namespace striate::cli {

namespace fs = std::filesystem;

void add_model_flags(CLI::App& command, ModelFileOptions& options) {
  command.add_option("--model", options.model, "The network, if the file does not say");
  command.add_option("--preprocess", options.preprocess,
                     "How images are prepared, if the file does not say");
  command.add_option("--classes", options.classes,
                     "A file with the classes' names, one a line, if the weights have none");
  command.add_option("--precision", options.precision, "float32 or bf16")->capture_default_str();
}

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
  const std::string last = graph.node(last_weighted(graph, graph.outputs().front().second)).name;
  options.classes = size(last + ".weight", 0, options.classes);
  return options;
}

double survival_of(const WeightsCard& card, const std::string& model) {
  return card.model == model ? card.final_survival : 0;
}

namespace {

struct Likeness {
  double keys = 0;     // the share of keys that both have, with as many axes
  int64_t shapes = 0;  // tensors of equal shape: tells a network from its wider kin
};

Likeness compare(const std::vector<TensorSpec>& specs, const Weights& weights) {
  int64_t common = 0;
  auto total = static_cast<int64_t>(weights.tensors.size());
  Likeness likeness;
  for (const TensorSpec& spec : specs) {
    const auto found = weights.tensors.find(spec.key);
    const bool missing = found == weights.tensors.end();
    if (spec.kind == TensorSpec::Kind::kCounter && missing) continue;
    const bool alike = !missing && found->second.dim() == static_cast<int64_t>(spec.shape.size());
    alike ? ++common : ++total;
    if (alike && found->second.sizes() == at::IntArrayRef(spec.shape)) ++likeness.shapes;
  }
  likeness.keys = static_cast<double>(common) / static_cast<double>(total);
  return likeness;
}

}  // namespace

std::string nearest_model(const Weights& weights) {
  std::string nearest;
  Likeness best{.keys = 0.5, .shapes = 0};
  for (const ModelEntry& entry : model_registry()) {
    const Likeness likeness = compare(tensors(entry.build(entry.defaults)), weights);
    const bool nearer =
        likeness.keys > best.keys || (likeness.keys == best.keys && likeness.shapes > best.shapes);
    if (!nearer || likeness.keys <= 0.5) continue;
    best = likeness;
    nearest = entry.name;
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

namespace {

std::vector<std::string> read_class_names(const std::string& path, int64_t classes) {
  std::vector<std::string> names;
  std::istringstream lines(read_text(path));
  std::string line;
  while (std::getline(lines, line)) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) {
      throw FormatError(fmt::format("{} line {} is empty", path, names.size() + 1),
                        "write the name of one class on each line");
    }
    names.push_back(line);
  }
  if (static_cast<int64_t>(names.size()) != classes) {
    throw FormatError(
        fmt::format("{} names {} classes, the network has {}", path, names.size(), classes),
        "write one class on each line, in the order of the network's outputs");
  }
  return names;
}

// The card's classes become the user's, or numbers where nobody names them.
void name_classes(LoadedModel& loaded, const std::string& path, int64_t classes) {
  std::vector<std::string>& names = loaded.card.class_names;
  if (!path.empty()) names = read_class_names(path, classes);
  loaded.names_its_classes = !names.empty();
  for (auto k = static_cast<int64_t>(names.size()); k < classes; ++k) {
    names.push_back(std::to_string(k));
  }
}

// Which network the weights are, how their images are prepared, and what the user says of both.
void complete_card(WeightsCard& card, const Weights& weights, const std::string& origin,
                   const ModelFileOptions& options) {
  const std::string& told = options.model;
  if (told.empty() && card.model.empty()) {
    const std::string nearest = nearest_model(weights);
    throw LookupError(fmt::format("{} does not say which network it belongs to", origin),
                      nearest.empty()
                          ? "name it with --model; `striate models` lists the networks"
                          : fmt::format("its weights look like those of --model {}", nearest));
  }
  if (!told.empty()) {
    card.final_survival = survival_of(card, told);
    card.model = told;
  }
  if (!options.preprocess.empty()) {
    card.preprocessing = find_preprocessing(options.preprocess);
  } else if (card.preprocessing.transforms().empty()) {
    card.preprocessing = named_preprocessing(find_model(card.model).preprocess);
  }
}

}  // namespace

LoadedModel load_model(const fs::path& path, const ModelFileOptions& options) {
  LoadedModel loaded;
  loaded.path = fs::is_directory(path) ? RunFolder{path}.best() : path;
  const std::string origin = loaded.path.string();
  const Weights weights = read_weights(loaded.path);
  const ModelKind* const kind = kind_of_weights(weights);
  if (kind != nullptr) {
    throw Error(fmt::format("{} holds a {}", origin, kind->name()), kind->hint());
  }
  WeightsCard& card = loaded.card;
  card = card_from_metadata(weights.metadata, origin);
  complete_card(card, weights, origin, options);

  ModelOptions model = options_of_weights(card.model, weights);
  if (!card.input.empty()) model.input = card.input;
  card.input = model.input;
  model.final_survival = card.final_survival;
  name_classes(loaded, options.classes, model.classes);
  Graph graph = build_model(card.model, model);
  check_weights_or_explain(graph, weights, origin);
  loaded.network = std::make_shared<Network>(std::move(graph), weights);
  loaded.network->eval();
  loaded.network->set_execution({.precision = find_precision(options.precision)});
  if (options.column.has_value()) loaded.network->use_column(options.column);
  return loaded;
}

at::Tensor prepare_image(const LoadedModel& model, const std::string& path) {
  const Shape& input = model.network->graph().input_shape();
  const PixelFormat format = input[0] == 1 ? PixelFormat::kGrey : PixelFormat::kRgb;
  Random random({0});
  std::vector<at::Tensor> views;
  for (FloatImage& view : model.card.preprocessing.apply(read_image(path, format), random)) {
    if (Shape{view.channels, view.height, view.width} != input) {
      throw ShapeError(fmt::format("{} becomes ({}, {}, {}), the network takes {}", path,
                                   view.channels, view.height, view.width, to_string(input)),
                       "choose another --preprocess");
    }
    views.push_back(
        at::from_blob(view.pixels.data(), {view.height, view.width, view.channels}, at::kFloat)
            .permute({2, 0, 1})
            .clone());
  }
  return at::stack(views);
}

}  // namespace striate::cli
