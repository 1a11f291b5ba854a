#include <fmt/format.h>

#include <map>
#include <optional>
#include <stdexcept>

#include "striate/graph/analysis.h"

namespace striate {

namespace {

std::vector<bool> needed_by(const Graph& graph, const GraphPart& part) {
  std::vector<bool> needed(graph.nodes().size(), part.ends.empty());
  for (const std::string& name : part.ends) {
    const std::vector<bool> own = with_ancestors(graph, graph.find(name));
    for (size_t i = 0; i < needed.size(); ++i) needed[i] = needed[i] || own[i];
  }
  return needed;
}

// Exceptions that name tensors of the part.
Initialization initialization_of(const Graph& from, const Graph& part) {
  Initialization initialization = from.initialization;
  initialization.exceptions.clear();
  for (const TensorSpec& spec : tensors(part)) {
    const auto found = from.initialization.exceptions.find(spec.key);
    if (found != from.initialization.exceptions.end()) {
      initialization.exceptions.insert(*found);
    }
  }
  return initialization;
}

}  // namespace

Graph part_of(const Graph& graph, const GraphPart& part) {
  const Value begin = part.begin.empty() ? graph.input() : graph.find(part.begin);
  const std::vector<bool> needed = needed_by(graph, part);
  Graph result(graph.name(), part.input.empty() ? graph.shape(begin) : part.input);
  std::vector<std::optional<Value>> moved(graph.nodes().size());
  moved[static_cast<size_t>(begin.node)] = result.input();
  for (int64_t i = begin.node + 1; i < std::ssize(graph.nodes()); ++i) {
    if (!needed[static_cast<size_t>(i)]) continue;
    const Node& node = graph.node({i});
    std::vector<Value> inputs;
    for (const int64_t input : node.inputs) {
      const std::optional<Value>& value = moved[static_cast<size_t>(input)];
      if (!value.has_value()) {
        throw std::invalid_argument(
            fmt::format("{} needs more of the images than {}", node.name, part.begin));
      }
      inputs.push_back(*value);
    }
    moved[static_cast<size_t>(i)] = result.append(node.name, node.op, inputs);
  }
  const auto set_output = [&](const std::string& name, Value old) {
    result.set_output(name, moved[static_cast<size_t>(old.node)].value());
  };
  for (const std::string& name : part.ends) set_output(name, graph.find(name));
  if (part.ends.empty()) {
    for (const auto& [name, value] : graph.outputs()) set_output(name, value);
  }
  result.initialization = initialization_of(graph, result);
  return result;
}

}  // namespace striate
