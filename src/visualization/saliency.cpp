// Deep Inside Convolutional Networks: Visualising Image Classification Models and Saliency Maps.
// K. Simonyan, A. Vedaldi, A. Zisserman, 2014. https://arxiv.org/abs/1312.6034
#include "striate/visualization/attribution.h"
#include "visualization/score.h"

namespace striate {

at::Tensor saliency(const Network& network, const at::Tensor& images, const Target& target) {
  check_target(network.graph(), images, target);
  ScoreGradient score(network, {.ends = {target_node(network.graph(), target)}});
  return score.gradient(images, target);
}

}  // namespace striate
