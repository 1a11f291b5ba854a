#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/graph/ops.h"
#include "striate/runtime/network.h"

namespace striate {

struct Derivation {
  /// Names of nodes that are wanted; only what they depend on remains. Empty: the first output.
  std::vector<std::string> ends = {};
  /// What ReLUs pass back.
  ReluGradient relu = ReluGradient::kDerivative;
  /// Name of the node whose value is the input; empty: the images. `is_cut` must hold.
  std::string begin = {};
  /// For images of another size, where no linear layer is among what remains. (C, H, W)
  std::optional<Shape> input = {};
  /// Whether batch-norms are folded; `predictor` does so itself.
  bool fold = true;
};

/// Whether all that `end` sees of the images goes through `node`.
bool is_cut(const Graph& graph, Value node, Value end);

/// The network as the methods of this room need it: in evaluation mode, its weights fixed, so that
/// no gradient is computed for them, and each batch-norm folded into the convolution before it,
/// which saves passes over memory. A folded convolution has the batch-norm's name; one whose own
/// value is wanted is not folded, and none is in
/// PyTorch's layout, whose numbers are PyTorch's. It shares weights that stay as they are. Its
/// outputs are called as the nodes are. Same numbers to rounding.
/// @throws LookupError  no node has a name of `ends`; ShapeError  a layer does not fit the new
/// input.
std::unique_ptr<Network> derived_network(const Network& network, const Derivation& derivation);

}  // namespace striate
