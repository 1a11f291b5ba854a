#pragma once

#include <memory>
#include <string>
#include <vector>

#include "striate/runtime/gradient_network.h"
#include "striate/runtime/network.h"
#include "striate/visualization/target.h"
#include "visualization/derived_network.h"

namespace striate {

/// The name of the node that a target means.
std::string target_node(const Graph& graph, const Target& target);
/// @throws ShapeError, LookupError  the target does not fit the network or the images.
void check_target(const Graph& graph, const at::Tensor& images, const Target& target);

/// The target's score of each image: (N).
/// @param value  of the target's node.
at::Tensor scores(const at::Tensor& value, const Target& target);

/// The gradient of the sum of all images' scores with respect to the value of `leaf`, and that
/// value. @param network  from `derived_network`, with the target's node and `leaf` among its
/// nodes.
struct Gradient {
  at::Tensor value;
  at::Tensor gradient;
};
Gradient score_gradient(Network& network, const at::Tensor& images, const Target& target,
                        const std::string& leaf);

/// The same with respect to the input of a derived network, for one pass or many: as a
/// GradientNetwork where that can run.
class ScoreGradient {
 public:
  /// @param derivation  whose end is the node of every target.
  ScoreGradient(const Network& network, Derivation derivation);

  at::Tensor gradient(const at::Tensor& images, const Target& target);
  /// The scores alone, (N).
  at::Tensor scores(const at::Tensor& images, const Target& target);

  const Network& network() const { return *network_; }

 private:
  std::string node_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<GradientNetwork> fast_;  // null: by autograd
};

}  // namespace striate
