// Striving for Simplicity: The All Convolutional Net. J. T. Springenberg, A. Dosovitskiy, T. Brox,
// M. Riedmiller, 2015. https://arxiv.org/abs/1412.6806
// Visualizing and Understanding Convolutional Networks. M. D. Zeiler, R. Fergus, 2014.
// https://arxiv.org/abs/1311.2901. Departure: unpooling is the gradient of max pooling, which is
// the same; filters are not normalised.
#include "striate/visualization/attribution.h"
#include "visualization/score.h"

namespace striate {

namespace {

at::Tensor by_rule(const Network& network, const at::Tensor& images, const Target& target,
                   ReluGradient rule) {
  check_target(network.graph(), images, target);
  ScoreGradient score(network, {.ends = {target_node(network.graph(), target)}, .relu = rule});
  return score.gradient(images, target);
}

}  // namespace

at::Tensor guided_backprop(const Network& network, const at::Tensor& images, const Target& target) {
  return by_rule(network, images, target, ReluGradient::kGuided);
}

at::Tensor deconvolution(const Network& network, const at::Tensor& images, const Target& target) {
  return by_rule(network, images, target, ReluGradient::kDeconvolution);
}

}  // namespace striate
