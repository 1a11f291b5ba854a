#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "striate/graph/analysis.h"
#include "striate/graph/graph.h"

namespace striate {

namespace {

[[noreturn]] void broken(const std::string& node, const std::string& problem) {
  throw std::logic_error(fmt::format("[{}] {}", node, problem));
}

void verify_node(const Graph& graph, int64_t index) {
  const Node& node = graph.nodes()[static_cast<size_t>(index)];
  std::vector<Shape> shapes;
  for (const int64_t input : node.inputs) {
    if (input < 0 || input >= index) broken(node.name, "uses a value that comes later");
    shapes.push_back(graph.shape({input}));
  }
  const Shape inferred = infer_shape(node.op, shapes, node.name);
  if (inferred != node.shape) {
    broken(node.name, fmt::format("has shape {}, but its inputs give {}", to_string(node.shape),
                                  to_string(inferred)));
  }
  if (std::holds_alternative<Input>(node.op) != (index == 0)) {
    broken(node.name, "a graph has one input, its first node");
  }
}

// A value that may be missing is understood by an Add only, and not if all of its values are.
void verify_dropped_values(const Graph& graph) {
  for (const Node& node : graph.nodes()) {
    const auto droppable = std::ranges::count_if(node.inputs, [&](int64_t input) {
      return std::holds_alternative<StochasticDepth>(graph.node({input}).op);
    });
    if (droppable == 0) continue;
    if (!std::holds_alternative<Add>(node.op)) {
      broken(node.name, "uses a value of stochastic depth, which only an Add may");
    }
    if (droppable == std::ssize(node.inputs)) {
      broken(node.name,
             "adds values of stochastic depth only: nothing is left when all are dropped");
    }
  }
}

void verify_all_used(const Graph& graph) {
  std::set<int64_t> used;
  for (const Node& node : graph.nodes()) used.insert(node.inputs.begin(), node.inputs.end());
  for (const auto& [name, value] : graph.outputs()) used.insert(value.node);
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    if (!used.contains(static_cast<int64_t>(i))) {
      broken(graph.nodes()[i].name, "is neither used nor an output");
    }
  }
}

}  // namespace

void verify(const Graph& graph) {
  std::set<std::string> names;
  for (int64_t i = 0; i < static_cast<int64_t>(graph.nodes().size()); ++i) {
    verify_node(graph, i);
    const std::string& name = graph.nodes()[static_cast<size_t>(i)].name;
    if (!names.insert(name).second) broken(name, "is the name of two nodes");
  }
  if (graph.outputs().empty()) broken(graph.name(), "has no output");
  std::set<std::string> output_names;
  for (const auto& [name, value] : graph.outputs()) {
    if (!output_names.insert(name).second) broken(name, "is the name of two outputs");
  }
  verify_dropped_values(graph);
  verify_all_used(graph);

  std::set<std::string> keys;
  for (const TensorSpec& spec : tensors(graph)) keys.insert(spec.key);
  for (const auto& [key, initializer] : graph.initialization.exceptions) {
    if (!keys.contains(key)) broken(key, "is initialised, but no tensor has that name");
  }
}

}  // namespace striate
