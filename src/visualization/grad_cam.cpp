// Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization. R. R.
// Selvaraju, M. Cogswell, A. Das, R. Vedantam, D. Parikh, D. Batra, 2017.
// https://arxiv.org/abs/1610.02391
#include <ATen/ops/relu.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <fmt/format.h>

#include <algorithm>

#include "striate/base/error.h"
#include "striate/visualization/activations.h"
#include "striate/visualization/attribution.h"
#include "visualization/derived_network.h"
#include "visualization/score.h"

namespace striate {

namespace {

// Where the layer cuts the network in two, its first part is computed as fast as predictions.
Gradient at_layer(const Network& network, const at::Tensor& images, const Target& target,
                  const std::string& layer) {
  const Graph& graph = network.graph();
  const std::string node = target_node(graph, target);
  const bool cut = node != layer && is_cut(graph, graph.find(layer), graph.find(node));
  if (!cut) {
    const auto derived = derived_network(network, {.ends = {node, layer}});
    return score_gradient(*derived, images, target, layer);
  }
  const at::Tensor value = NodeValues(network, layer)(images);
  ScoreGradient rest(network, {.ends = {node}, .begin = layer});
  return {value, rest.gradient(value, {target.channels, node, target.position})};
}

}  // namespace

at::Tensor grad_cam(const Network& network, const at::Tensor& images, const Target& target,
                    const std::string& layer) {
  check_target(network.graph(), images, target);
  const Graph& graph = network.graph();
  const Value at = graph.find(layer);
  const std::string score_node = target_node(graph, target);
  const Shape& shape = graph.shape(at);
  if (shape.size() != 3) {
    throw ShapeError(
        fmt::format("[{}] is {}: Grad-CAM needs a map (K, h, w)", layer, to_string(shape)),
        fmt::format("take {}", default_layer(graph)));
  }
  if (!with_ancestors(graph, graph.find(score_node))[static_cast<size_t>(at.node)]) {
    throw LookupError(fmt::format("[{}] does not depend on [{}]", score_node, layer));
  }
  const auto [A, gradient] = at_layer(network, images, target, layer);
  const at::Tensor alpha = gradient.mean({2, 3}, /*keepdim=*/true);  // Eq. 1
  return at::relu((alpha * A).sum(1));                               // Eq. 2
}

at::Tensor guided_grad_cam(const Network& network, const at::Tensor& images, const Target& target,
                           const std::string& layer) {
  const at::Tensor cam = grad_cam(network, images, target, layer).unsqueeze(1);
  const at::Tensor enlarged = at::upsample_bilinear2d(cam, images.sizes().slice(2), false);
  return guided_backprop(network, images, target) * enlarged;
}

std::string default_layer(const Graph& graph) {
  const auto& nodes = graph.nodes();
  const std::vector<bool> used = with_ancestors(graph, graph.outputs().front().second);
  // The last map before what pools or flattens all of it.
  for (size_t i = nodes.size(); i-- > 1;) {
    const Shape& shape = nodes[i].shape;
    const bool is_pool = std::holds_alternative<AdaptiveAvgPool2d>(nodes[i].op) ||
                         std::holds_alternative<AvgPool2d>(nodes[i].op) ||
                         std::holds_alternative<MaxPool2d>(nodes[i].op);
    if (used[i] && shape.size() == 3 && shape[1] * shape[2] > 1 && !is_pool) return nodes[i].name;
  }
  throw LookupError(graph.name() + " has no maps (K, h, w)");
}

}  // namespace striate
