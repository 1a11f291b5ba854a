#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/plan.h"
#include "striate/graph/graph.h"

namespace striate {

/// Steps that depend on one value from before and of which one value is read behind: what can be
/// computed again in the backward pass from little (chen2016).
struct Stage {
  int64_t first;  ///< nodes [first, last]
  int64_t last;
  int64_t input;   ///< the node whose value comes in
  int64_t output;  ///< the node whose value goes out
};

/// The stages that the names mean, in order: "layer1" (a part of the names before a dot) are the
/// nodes layer1.*; "conv1..relu" those from the one node to the other; "all" is the network but its
/// last part, cut where one value passes so that the least is kept (chen2016, 4.3).
/// @param steps  where nodes run together.
/// @throws LookupError            no node has that name.
/// @throws std::invalid_argument  these nodes are no stage, or two stages overlap; the message
/// lists
///                                what would be a stage.
std::vector<Stage> find_stages(const Graph& graph, const std::vector<PlannedStep>& steps,
                               const std::vector<std::string>& names);

}  // namespace striate
