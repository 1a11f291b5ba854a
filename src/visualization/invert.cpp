// Understanding Deep Image Representations by Inverting Them. A. Mahendran, A. Vedaldi, 2015.
// https://arxiv.org/abs/1412.0035. Departure: Adam instead of gradient descent with momentum, and
// weights of the regularisers for pixels in [0, 1].
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <stdexcept>

#include "striate/base/error.h"
#include "striate/visualization/ascent.h"
#include "visualization/adam.h"
#include "visualization/derived_network.h"
#include "visualization/seeded.h"

namespace striate {

namespace {

// Eq. 4 with a beta of 2, for each pixel.
at::Tensor total_variation(const at::Tensor& x) {
  const at::Tensor down = x.slice(2, 1) - x.slice(2, 0, -1);
  const at::Tensor right = x.slice(3, 1) - x.slice(3, 0, -1);
  return down.square().mean() + right.square().mean();
}

}  // namespace

Inversion invert(const Network& network, const PixelScale& scale, const at::Tensor& pixels,
                 const std::string& node, const InversionOptions& options) {
  if (options.steps < 1 || !(options.learning_rate > 0) || options.total_variation < 0 ||
      options.alpha_norm < 0) {
    throw std::invalid_argument("an inversion needs a step and a learning rate above 0");
  }
  if (pixels.dim() != 3 || pixels.sizes() != at::IntArrayRef(network.graph().input_shape())) {
    throw ShapeError("an inversion needs an image of the network's input shape, " +
                     to_string(network.graph().input_shape()));
  }
  const auto derived = derived_network(network, {.ends = {node}});
  at::Tensor wanted;
  {
    at::NoGradGuard no_grad;
    wanted = derived->forward(normalize_pixels(pixels.unsqueeze(0), scale), {}).at(node);
  }
  const double energy = std::max(wanted.square().sum().item<double>(), 1e-30);
  std::vector<int64_t> shape = pixels.sizes().vec();
  shape.insert(shape.begin(), 1);
  at::Tensor x = (seeded_normal(shape, options.seed) * 0.02 + 0.5).clamp(0, 1);
  Adam adam(options.learning_rate);
  Inversion result;
  for (int64_t step = 0; step < options.steps; ++step) {
    at::AutoGradMode recording(true);
    x = x.detach().requires_grad_();
    const at::Tensor value = derived->forward(normalize_pixels(x, scale), {}).at(node);
    const at::Tensor error = (value - wanted).square().sum() / energy;
    const at::Tensor regular = total_variation(x) * options.total_variation * 100 +
                               ((x - 0.5) * 2).pow(6).mean() * options.alpha_norm;  // Eq. 3
    const at::Tensor gradient = torch::autograd::grad({error + regular}, {x})[0];
    at::NoGradGuard no_grad;
    adam.step(x, gradient);
    result.error = error.item<double>();
    if (options.progress) options.progress(step + 1, options.steps, result.error);
  }
  at::NoGradGuard no_grad;
  result.pixels = x[0].detach().clamp(0, 1).contiguous();
  const at::Tensor value =
      derived->forward(normalize_pixels(result.pixels.unsqueeze(0), scale), {}).at(node);
  result.error = (value - wanted).square().sum().item<double>() / energy;
  return result;
}

}  // namespace striate
