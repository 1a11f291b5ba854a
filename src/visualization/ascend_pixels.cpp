// Deep Inside Convolutional Networks: Visualising Image Classification Models and Saliency Maps.
// K. Simonyan, A. Vedaldi, A. Zisserman, 2014. https://arxiv.org/abs/1312.6034
// Understanding Neural Networks Through Deep Visualization. J. Yosinski, J. Clune, A. Nguyen,
// T. Fuchs, H. Lipson, 2015. https://arxiv.org/abs/1506.06579. Departure: the gradient is scaled to
// a root of the mean square of 1, so that one learning rate serves all networks.
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <stdexcept>

#include "striate/visualization/ascent.h"
#include "visualization/blur.h"
#include "visualization/score.h"
#include "visualization/seeded.h"

namespace striate {

namespace {

// Pixels that add least to the score, |x| |gradient| over the channels, become the mean colour.
at::Tensor clip_contribution(const at::Tensor& x, const at::Tensor& gradient, double share) {
  const at::Tensor contribution = (x * gradient).abs().sum(1, /*keepdim=*/true);
  const auto count = static_cast<int64_t>(share * static_cast<double>(contribution.numel()));
  if (count < 1) return x;
  const at::Tensor threshold = std::get<0>(contribution.flatten().kthvalue(count));
  return x * contribution.gt(threshold);
}

}  // namespace

Ascent ascend_pixels(const Network& network, const PixelScale& scale, const Unit& unit,
                     const PixelAscentOptions& options) {
  if (options.steps < 1 || !(options.learning_rate > 0) || !(options.l2_decay >= 0) ||
      options.l2_decay >= 1 || options.clip < 0 || options.clip >= 1 || options.blur_every < 0) {
    throw std::invalid_argument(
        "ascent needs a step, a learning rate above 0, and decay and clip in [0, 1)");
  }
  const Shape& shape = network.graph().input_shape();
  const Target target{.channels = at::zeros({1}, at::kLong) + unit.channel,
                      .node = unit.node,
                      .position = unit.position};
  at::Tensor x = seeded_normal({1, shape[0], shape[1], shape[2]}, options.seed) * 0.1;
  check_target(network.graph(), x, target);
  ScoreGradient score(network, {.ends = {target_node(network.graph(), target)}});
  // Of images that pixels can be.
  const at::Tensor least = normalize_pixels(at::zeros_like(x), scale);
  const at::Tensor most = normalize_pixels(at::ones_like(x), scale);
  Ascent result;
  for (int64_t step = 0; step < options.steps; ++step) {
    const at::Tensor gradient = score.gradient(x, target);
    const double size = std::max(gradient.square().mean().sqrt().item<double>(), 1e-30);
    x = x + gradient * (options.learning_rate / size);
    x = x * (1 - options.l2_decay);
    const bool last = step + 1 == options.steps;
    if (options.blur_every > 0 && (step + 1) % options.blur_every == 0 && !last) {
      x = gaussian_blur(x, options.blur_deviation);
    }
    if (3 * step >= 2 * options.steps && !last) x = clip_contribution(x, gradient, options.clip);
    x = at::minimum(at::maximum(x, least), most);
    result.scores.push_back(score.scores(x, target).item<double>());
    if (options.progress) options.progress(step + 1, options.steps, result.scores.back());
  }
  result.pixels = to_pixels(x, scale)[0].clamp(0, 1);
  return result;
}

}  // namespace striate
