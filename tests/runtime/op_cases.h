#pragma once

#include <torch/types.h>

#include <functional>
#include <string>
#include <vector>

#include "striate/graph/graph.h"

namespace striate {

/// One use of an operator. Every case is run as inferred against real shape, forward against
/// `reference`, and gradient against finite differences in float64.
struct OpCase {
  std::string name;
  Op op;
  std::vector<Shape> inputs;
  int64_t batch = 2;
  /// The operator by other means: inputs (N, …) and the node's weights by suffix.
  std::function<at::Tensor(const std::vector<at::Tensor>&,
                           const std::map<std::string, at::Tensor>&)>
      reference;
};

/// Each operator with odd sizes, batch 1, groups, ceil mode …
std::vector<OpCase> op_cases();

}  // namespace striate
