// SmoothGrad: removing noise by adding noise. D. Smilkov, N. Thorat, B. Kim, F. Viégas,
// M. Wattenberg, 2017. https://arxiv.org/abs/1706.03825
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>
#include <fmt/format.h>

#include <stdexcept>

#include "striate/base/error.h"
#include "striate/visualization/attribution.h"
#include "visualization/affine_stem.h"
#include "visualization/score.h"

namespace striate {

namespace {

at::Tensor mean_gradient(const Network& network, const at::Tensor& images, const Target& target,
                         int64_t samples, const std::function<at::Tensor(int64_t)>& noise,
                         const ProgressObserver& progress) {
  AffineStem stem(network, target);
  at::Tensor sum;
  for (int64_t i = 0; i < samples; ++i) {
    const at::Tensor value = stem.value(images + noise(i));
    const at::Tensor gradient = score_gradient(stem.rest(), value, target, "input").gradient;
    sum = i == 0 ? gradient : sum.add_(gradient);
    if (progress) progress(i + 1, samples);
  }
  return stem.gradient(images, sum) / static_cast<double>(samples);
}

}  // namespace

at::Tensor smooth_grad(const Network& network, const at::Tensor& images, const Target& target,
                       const SmoothGradOptions& options) {
  if (options.samples < 1 || !(options.noise >= 0)) {
    throw std::invalid_argument(
        "SmoothGrad needs a sample at least, and noise that is not below 0");
  }
  check_target(network.graph(), images, target);
  auto generator = at::make_generator<at::CPUGeneratorImpl>(options.seed);
  const at::Tensor range = images.amax({1, 2, 3}, true) - images.amin({1, 2, 3}, true);
  const auto noise = [&](int64_t) {
    return at::randn(images.sizes(), generator, at::kFloat).to(images.options()) * range *
           options.noise;
  };
  return mean_gradient(network, images, target, options.samples, noise, options.progress);
}

at::Tensor smooth_grad(const Network& network, const at::Tensor& images, const Target& target,
                       const at::Tensor& noise) {
  check_target(network.graph(), images, target);
  if (!noise.defined() || noise.dim() != 5 || noise.size(0) < 1 ||
      noise[0].sizes() != images.sizes()) {
    throw ShapeError("SmoothGrad's noise needs the shape (samples, N, C, H, W) of the images");
  }
  return mean_gradient(network, images, target, noise.size(0), [&](int64_t i) { return noise[i]; },
                       {});
}

}  // namespace striate
