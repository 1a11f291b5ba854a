#include "striate/graph/summary.h"

#include <fmt/format.h>

#include "striate/base/text.h"
#include "striate/graph/analysis.h"

namespace striate {

namespace {

using Row = std::vector<std::string>;

std::string by(const Size2& size) {
  return size.height == size.width ? std::to_string(size.height)
                                   : fmt::format("{}x{}", size.height, size.width);
}

std::string count_or_dash(int64_t count) {
  return count == 0 ? "-" : with_thousands(count);
}

std::string totals(const Graph& graph) {
  const ActivationMemory memory = activation_memory(graph);
  const int64_t parameters = parameter_count(graph);
  const auto million = [](int64_t n) { return static_cast<double>(n) / 1e6; };
  const auto values = [&](int64_t bytes) {
    return bytes >= 400'000 ? fmt::format("{:.1f} M values", million(bytes / 4))
                            : with_thousands(bytes / 4) + " values";
  };
  std::string text;
  text += fmt::format("parameters     {} ({:.2f} M, {} as float32)\n", with_thousands(parameters),
                      million(parameters), readable_bytes(parameters * 4));
  text += fmt::format("multiply-adds  {} ({:.2f} M) per image\n",
                      with_thousands(multiply_adds(graph)), million(multiply_adds(graph)));
  text += "activations    per float32 image:\n";
  text += fmt::format("  {:>9}  every node's output stored once ({})\n",
                      readable_bytes(memory.all_bytes), values(memory.all_bytes));
  text += fmt::format("  {:>9}  the same with ReLU and dropout in place ({})\n",
                      readable_bytes(memory.in_place_bytes), values(memory.in_place_bytes));
  text += fmt::format("  {:>9}  alive at once, when each is freed after its last use\n",
                      readable_bytes(memory.peak_bytes));
  text +=
      fmt::format("  {:>9}  kept for the backward pass\n", readable_bytes(memory.backward_bytes));
  for (const auto& [name, value] : graph.outputs()) {
    const ReceptiveField field = receptive_fields(graph)[static_cast<size_t>(value.node)];
    text += fmt::format("output         {} {}, receptive field {}\n", name,
                        to_string(graph.shape(value)), by(field.size));
  }
  return text;
}

}  // namespace

std::string summary_table(const Graph& graph) {
  const std::vector<ReceptiveField> fields = receptive_fields(graph);
  std::vector<Row> rows = {{"layer", "operator", "", "output", "parameters", "multiply-adds",
                            "memory", "field", "stride"}};
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    const Value value{static_cast<int64_t>(i)};
    rows.push_back({node.name, std::string(type_name(node.op)), describe(node.op),
                    to_string(node.shape), count_or_dash(parameter_count(graph, value)),
                    count_or_dash(multiply_adds(graph, value)),
                    output_bytes(node) == 0 ? "-" : readable_bytes(output_bytes(node)),
                    by(fields[i].size), by(fields[i].stride)});
  }
  return graph.name() + "\n\n" + aligned_table(rows, "llllr") + "\n" + totals(graph);
}

std::string tensor_table(const Graph& graph) {
  std::vector<Row> rows;
  for (const TensorSpec& spec : tensors(graph)) {
    const char* kind = spec.kind == TensorSpec::Kind::kParameter ? "parameter" : "buffer";
    rows.push_back({spec.key, to_string(spec.shape), kind});
  }
  return aligned_table(rows, "l");
}

std::string to_dot(const Graph& graph) {
  std::string text = fmt::format("digraph \"{}\" {{\n  rankdir=TB;\n", graph.name());
  text += "  node [shape=box, style=rounded, fontname=\"Helvetica\", fontsize=10];\n";
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    const std::string details = describe(node.op);
    text += fmt::format("  n{} [label=\"{}\\n{}{}{}\\n{}\"];\n", i, node.name, type_name(node.op),
                        details.empty() ? "" : " ", details, to_string(node.shape));
    for (const int64_t input : node.inputs) text += fmt::format("  n{} -> n{};\n", input, i);
  }
  for (const auto& [name, value] : graph.outputs()) {
    text += fmt::format("  \"{0}\" [shape=plaintext, style=\"\"];\n  n{1} -> \"{0}\";\n", name,
                        value.node);
  }
  return text + "}\n";
}

}  // namespace striate
