#include "visualization/score.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include "striate/base/error.h"

namespace striate {

Target same_target(int64_t images, int64_t channel, const std::string& node) {
  return {.channels = at::full({images}, channel, at::kLong), .node = node};
}

std::string target_node(const Graph& graph, const Target& target) {
  if (!target.node.empty()) return target.node;
  return graph.node(graph.outputs().front().second).name;
}

void check_target(const Graph& graph, const at::Tensor& images, const Target& target) {
  const std::string name = target_node(graph, target);
  const Shape& shape = graph.shape(graph.find(name));
  const at::Tensor& channels = target.channels;
  if (images.dim() != 4 || !channels.defined() || channels.dim() != 1 ||
      channels.scalar_type() != at::kLong || channels.size(0) != images.size(0)) {
    throw ShapeError(fmt::format("a target needs one class or channel for each of {} images",
                                 images.dim() > 0 ? images.size(0) : 0));
  }
  if (channels.numel() == 0) return;
  const auto least = channels.min().item<int64_t>();
  const auto most = channels.max().item<int64_t>();
  if (least < 0 || most >= shape[0]) {
    throw ShapeError(fmt::format("[{}] has {} channels or classes, 0 to {}; there is no {}", name,
                                 shape[0], shape[0] - 1, least < 0 ? least : most));
  }
  if (!target.position.has_value()) return;
  const auto [y, x] = *target.position;
  if (shape.size() != 3 || y < 0 || y >= shape[1] || x < 0 || x >= shape[2]) {
    throw ShapeError(fmt::format("[{}] is {}: it has no unit at row {}, column {}", name,
                                 to_string(shape), y, x));
  }
}

at::Tensor scores(const at::Tensor& value, const Target& target) {
  at::Tensor by_channel = value;
  if (value.dim() == 4) {
    by_channel = target.position.has_value()
                     ? value.select(3, target.position->x).select(2, target.position->y)
                     : value.mean({2, 3});
  }
  return by_channel.gather(1, target.channels.to(value.device()).unsqueeze(1)).squeeze(1);
}

Gradient score_gradient(Network& network, const at::Tensor& images, const Target& target,
                        const std::string& leaf) {
  at::AutoGradMode recording(true);
  const std::string node = target_node(network.graph(), target);
  const NamedValues values = network.forward(images, {.taps = {node}, .leaves = {leaf}});
  const at::Tensor& value = values.at(leaf);
  const at::Tensor sum = scores(values.at(node), target).sum();
  at::Tensor gradient;
  if (sum.requires_grad()) {
    gradient = torch::autograd::grad({sum}, {value}, {}, std::nullopt, /*create_graph=*/false,
                                     /*allow_unused=*/true)[0];
  }
  // A score that does not depend on the leaf.
  if (!gradient.defined()) gradient = at::zeros_like(value);
  return {value.detach(), gradient};
}

ScoreGradient::ScoreGradient(const Network& network, Derivation derivation)
    : node_(derivation.ends.front()) {
  derivation.fold = false;  // as a GradientNetwork does so itself
  network_ = derived_network(network, derivation);
  if (GradientNetwork::can_run(*network_)) {
    fast_ = std::make_unique<GradientNetwork>(*network_);
    return;
  }
  derivation.fold = true;
  network_ = derived_network(network, derivation);
}

at::Tensor ScoreGradient::gradient(const at::Tensor& images, const Target& target) {
  if (fast_ == nullptr) return score_gradient(*network_, images, target, "input").gradient;
  at::AutoGradMode recording(true);
  const at::Tensor value = fast_->forward(images).detach().requires_grad_();
  const at::Tensor sum = striate::scores(value, target).sum();
  return fast_->backward(torch::autograd::grad({sum}, {value})[0]);
}

at::Tensor ScoreGradient::scores(const at::Tensor& images, const Target& target) {
  at::NoGradGuard no_grad;
  const at::Tensor value = fast_ != nullptr ? fast_->forward(images)
                                            : network_->forward(images, ForwardOptions{}).at(node_);
  return striate::scores(value, target);
}

}  // namespace striate
