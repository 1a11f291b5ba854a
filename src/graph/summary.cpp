#include "striate/graph/summary.h"

#include <fmt/format.h>

#include <algorithm>

#include "striate/graph/analysis.h"

namespace striate {

std::string with_thousands(int64_t number) {
  std::string text = std::to_string(number);
  const int64_t first = number < 0 ? 1 : 0;
  for (int64_t i = static_cast<int64_t>(text.size()) - 3; i > first; i -= 3) {
    text.insert(static_cast<size_t>(i), ",");
  }
  return text;
}

std::string readable_bytes(int64_t bytes) {
  const auto number = static_cast<double>(bytes);
  if (bytes >= 1'000'000) return fmt::format("{:.1f} MB", number / 1e6);
  return bytes >= 1000 ? fmt::format("{:.1f} kB", number / 1e3) : fmt::format("{} B", bytes);
}

namespace {

using Row = std::vector<std::string>;

// Columns as wide as their widest cell; the first `left` columns are aligned to the left.
std::string aligned(const std::vector<Row>& rows, size_t left) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += i < left ? fmt::format("{:<{}}  ", row[i], widths[i])
                       : fmt::format("{:>{}}  ", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

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
  return graph.name() + "\n\n" + aligned(rows, 4) + "\n" + totals(graph);
}

std::string tensor_table(const Graph& graph) {
  std::vector<Row> rows;
  for (const TensorSpec& spec : tensors(graph)) {
    const char* kind = spec.kind == TensorSpec::Kind::kParameter ? "parameter" : "buffer";
    rows.push_back({spec.key, to_string(spec.shape), kind});
  }
  return aligned(rows, 3);
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
