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
                         const SmoothGradOptions& options,
                         const std::function<at::Tensor(int64_t)>& noise) {
  AffineStem stem(network, target);
  const at::Tensor mean = stem.gradient_of_value(
      images, target,
      {.steps = options.samples,
       .write_value = [&](int64_t i,
                          const at::Tensor& value) { value.copy_(stem.value(images + noise(i))); },
       .weight = [&](int64_t) { return 1 / static_cast<double>(options.samples); },
       .batch_size = options.batch_size,
       .progress = options.progress});
  return stem.gradient(images, mean);
}

}  // namespace

at::Tensor smooth_grad(const Network& network, const at::Tensor& images, const Target& target,
                       const SmoothGradOptions& options) {
  if (options.samples < 1 || options.batch_size < 1 || !(options.noise >= 0)) {
    throw std::invalid_argument(
        "samples and batch size of SmoothGrad are 1 at least, and noise is not below 0");
  }
  check_target(network.graph(), images, target);
  auto generator = at::make_generator<at::CPUGeneratorImpl>(options.seed);
  const at::Tensor range = images.amax({1, 2, 3}, true) - images.amin({1, 2, 3}, true);
  const auto noise = [&](int64_t) {
    return at::randn(images.sizes(), generator, at::kFloat).to(images.options()) * range *
           options.noise;
  };
  return mean_gradient(network, images, target, options, noise);
}

at::Tensor smooth_grad(const Network& network, const at::Tensor& images, const Target& target,
                       const at::Tensor& noise) {
  check_target(network.graph(), images, target);
  if (!noise.defined() || noise.dim() != 5 || noise.size(0) < 1 ||
      noise[0].sizes() != images.sizes()) {
    throw ShapeError("SmoothGrad's noise needs the shape (samples, N, C, H, W) of the images");
  }
  return mean_gradient(network, images, target, {.samples = noise.size(0)},
                       [&](int64_t i) { return noise[i]; });
}

}  // namespace striate
