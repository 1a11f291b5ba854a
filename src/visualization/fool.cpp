// Explaining and Harnessing Adversarial Examples. I. J. Goodfellow, J. Shlens, C. Szegedy, 2015.
// https://arxiv.org/abs/1412.6572
// Adversarial Examples in the Physical World. A. Kurakin, I. J. Goodfellow, S. Bengio, 2017.
// https://arxiv.org/abs/1607.02533. Departure: the step is a quarter of the budget, or one grey
// level if that is more, instead of always one.
#include <ATen/ops/log_softmax.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <stdexcept>

#include "striate/base/error.h"
#include "striate/visualization/ascent.h"
#include "visualization/derived_network.h"
#include "visualization/score.h"

namespace striate {

Fooling fool(const Network& network, const PixelScale& scale, const at::Tensor& pixels,
             const at::Tensor& classes, const FoolingOptions& options) {
  if (options.steps < 1 || !(options.grey_levels > 0) || options.grey_levels > 255) {
    throw std::invalid_argument("fooling needs a step, and a budget above 0 and up to 255");
  }
  const Target target{.channels = classes};
  check_target(network.graph(), pixels, target);
  const auto derived = derived_network(network, {});
  const std::string node = target_node(network.graph(), target);
  const double epsilon = options.grey_levels / 255;
  const double step_size =
      options.steps == 1 ? epsilon : std::min(epsilon, std::max(epsilon / 4, 1.0 / 255));
  const double sign = options.targeted ? -1 : 1;
  at::Tensor x = pixels.clone();
  for (int64_t step = 0; step < options.steps; ++step) {
    at::AutoGradMode recording(true);
    const at::Tensor seen = x.detach().requires_grad_();
    const at::Tensor logits = derived->forward(normalize_pixels(seen, scale), {}).at(node);
    const at::Tensor loss = -scores(logits.log_softmax(1), target).sum();
    const at::Tensor gradient = torch::autograd::grad({loss}, {seen})[0];
    at::NoGradGuard no_grad;
    x = seen.detach() + gradient.sign() * (step_size * sign);
    x = at::minimum(at::maximum(x, pixels - epsilon), pixels + epsilon).clamp(0, 1);
  }
  at::NoGradGuard no_grad;
  // Whole grey levels, towards the image, so that the budget holds in the file.
  const at::Tensor change = ((x - pixels) * 255).trunc() / 255;
  Fooling result{
      .pixels = round_to_grey_levels(pixels + change), .predictions = {}, .confidences = {}};
  const at::Tensor p =
      derived->forward(normalize_pixels(result.pixels, scale), {}).at(node).softmax(1);
  const auto [confidence, prediction] = p.max(1);
  result.predictions = prediction;
  result.confidences = confidence;
  return result;
}

}  // namespace striate
