#pragma once

#include <string>

#include "striate/graph/graph.h"

namespace striate {

/// A table with a line for each node (shape, parameters, multiply-adds, memory, receptive field)
/// and the totals below it.
std::string summary_table(const Graph& graph);
/// A line for each tensor: key and shape.
std::string tensor_table(const Graph& graph);
/// The graph in Graphviz' language, for `dot -Tsvg`.
std::string to_dot(const Graph& graph);

}  // namespace striate
