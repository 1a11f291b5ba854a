#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "striate/graph/graph.h"

namespace striate {

/// Batch-norm, a shortcut added to it, a ReLU: what of these stands together and has no other use.
struct NormGroup {
  int64_t norm;
  int64_t input;                    ///< the norm's
  std::optional<int64_t> shortcut;  ///< the other summand
  bool relu;
};

/// A convolution, the ReLU and the max-pooling behind it, where nothing else reads the first two
/// and `can_convolve_and_pool`.
struct PoolGroup {
  int64_t conv;
  MaxPool2d pool;
};

/// What a network does at a node's place in the order.
struct PlannedStep {
  std::vector<int64_t> free_after;   ///< values whose last use is here
  bool may_overwrite_input = false;  ///< the first input has no other use, and no gradient formula
                                     ///< reads it
  bool absorbed = false;             ///< nothing: the end of its group computes it
  std::optional<NormGroup> group;    ///< the group that ends here
  std::optional<PoolGroup> pooled;   ///< likewise

  /// The node of the group that has the weights; `index`, the step's own, where there is no group.
  int64_t first_node(int64_t index) const {
    if (group.has_value()) return group->norm;
    return pooled.has_value() ? pooled->conv : index;
  }
};

/// A step for each node. @param fuse  form groups; else each node runs by itself.
std::vector<PlannedStep> plan_steps(const Graph& graph, bool fuse);

}  // namespace striate
