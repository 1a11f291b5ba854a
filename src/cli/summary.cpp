#include "striate/graph/summary.h"

#include <memory>

#include "cli/command.h"
#include "cli/model_kind.h"
#include "cli/options.h"
#include "striate/base/file.h"
#include "striate/base/text.h"
#include "striate/graph/analysis.h"
#include "striate/models/models.h"

namespace striate::cli {

namespace {

struct Options {
  std::string model;
  std::string input;
  ModelOptions network;
  std::string dot;
  bool tensors = false;
  bool json = false;
};

Json to_json(const Graph& graph) {
  const std::vector<ReceptiveField> fields = receptive_fields(graph);
  Json layers = Json::array();
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    const Value value{static_cast<int64_t>(i)};
    layers.push_back({{"name", node.name},
                      {"operator", type_name(node.op)},
                      {"shape", node.shape},
                      {"parameters", parameter_count(graph, value)},
                      {"multiply_adds", multiply_adds(graph, value)},
                      {"output_bytes", output_bytes(node)},
                      {"receptive_field", {fields[i].size.height, fields[i].size.width}},
                      {"stride", {fields[i].stride.height, fields[i].stride.width}}});
  }
  const ActivationMemory memory = activation_memory(graph);
  return {{"model", graph.name()},
          {"parameters", parameter_count(graph)},
          {"multiply_adds", multiply_adds(graph)},
          {"activations",
           {{"all_bytes", memory.all_bytes},
            {"in_place_bytes", memory.in_place_bytes},
            {"peak_bytes", memory.peak_bytes},
            {"kept_for_backward_bytes", memory.backward_bytes}}},
          {"layers", layers}};
}

void summarize_kind(const ModelKind& kind, const Options& options) {
  const TensorShapes shapes = kind.usual_tensors(options.model, options.network.classes);
  Json tensors = Json::array();
  std::vector<std::vector<std::string>> rows = {{"tensor", "shape", "parameters"}};
  for (const auto& [key, shape] : shapes) {
    tensors.push_back({{"name", key}, {"shape", shape}, {"parameters", volume(shape)}});
    rows.push_back({key, to_string(shape), with_thousands(volume(shape))});
  }
  rows.push_back({"total", "", with_thousands(parameter_count(shapes))});
  options.json ? print(Json{{"model", options.model},
                            {"parameters", parameter_count(shapes)},
                            {"tensors", tensors}})
               : print(aligned_table(rows, "llr"));
}

void summarize(const Options& options) {
  const ModelKind* const kind = kind_of_model(options.model);
  if (kind != nullptr) return summarize_kind(*kind, options);
  ModelOptions network = options.network;
  if (!options.input.empty()) network.input = parse_shape(options.input);
  const Graph graph = build_model(options.model, network);
  if (!options.dot.empty()) write_file_atomically(options.dot, to_dot(graph));
  if (options.json) return print(to_json(graph));
  print(options.tensors ? tensor_table(graph) : summary_table(graph));
}

}  // namespace

void add_summary(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "summary", "A network layer by layer: shapes, parameters, memory, receptive fields");
  const auto options = std::make_shared<Options>();
  command->add_option("model", options->model, "A network's name")->required();
  command->add_option("--input", options->input, "Its input, as 3x224x224");
  command
      ->add_option("--classes", options->network.classes,
                   "Its number of classes; of a language model, its vocabulary")
      ->check(CLI::PositiveNumber);
  command->add_flag("--auxiliary-heads", options->network.auxiliary_heads,
                    "GoogLeNet with its classifiers on the way");
  command
      ->add_option("--survival", options->network.final_survival,
                   "Stochastic depth: how likely the last residual block is in a step")
      ->check(check_probability);
  command->add_flag("--tensors", options->tensors, "List the weights instead");
  command->add_option("--dot", options->dot, "Write the graph for Graphviz to this file");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { summarize(*options); });
}

}  // namespace striate::cli
