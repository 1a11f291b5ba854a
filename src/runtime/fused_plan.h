#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "striate/graph/graph.h"

namespace striate {

/// What a fused network does in one go: an operator, with what stands in front of it and behind it.
struct FusedStep {
  int64_t node;                       ///< the operator
  std::vector<int64_t> inputs;        ///< the nodes whose values it reads
  std::optional<int64_t> input_norm;  ///< a convolution's: a batch-norm and a ReLU in front
  std::optional<int64_t> norm;        ///< the batch-norm behind a convolution
  std::optional<int64_t> shortcut;    ///< a node whose value is added behind
  bool relu = false;                  ///< and a ReLU at the end
  int64_t output;                     ///< the node whose value it writes
  std::vector<int64_t> free_after;    ///< buffers whose last use is here
  std::vector<int64_t> forget_after;  ///< the nodes whose values lie in them
};

/// Where a value lies: some channels of a buffer, so that what is concatenated needs no copy.
struct FusedPlace {
  int64_t buffer = -1;
  int64_t first_channel = 0;
};

/// How a network's outputs are computed in evaluation.
struct FusedPlan {
  std::vector<FusedStep> steps;
  std::vector<FusedPlace> places;  ///< by node; no buffer for what is not stored
  std::vector<Shape> buffers;      ///< (C, H, W) or (F)
  std::vector<int64_t> results;    ///< the nodes whose values are the outputs
};

struct FusedPlanOptions {
  size_t outputs = 1;       ///< how many of them, from the first on
  bool input_norms = true;  ///< whether a step may have one; otherwise it is a step by itself
};
FusedPlan fused_plan(const Graph& graph, const FusedPlanOptions& options = {});

/// A plan's first steps, whose values are many and kernels few: values of one image after the
/// other stay in the cache, and kernels are read again for each.
struct FusedPrefix {
  size_t steps = 0;
  int64_t buffer = -1;  ///< all that later steps read of it: (C, H, W)
  int64_t values = 0;   ///< the most that a step reads and writes of an image
};
FusedPrefix prefix_of_large_values(const Graph& graph, const FusedPlan& plan);

}  // namespace striate
