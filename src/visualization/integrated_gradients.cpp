// Axiomatic Attribution for Deep Networks. M. Sundararajan, A. Taly, Q. Yan, 2017.
// https://arxiv.org/abs/1703.01365. Departure: the integral by a Gauss-Legendre rule instead of
// steps of equal length (eq. 3), which needs fewer of them.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/add.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <numbers>
#include <stdexcept>
#include <vector>

#include "striate/base/error.h"
#include "striate/visualization/attribution.h"
#include "visualization/affine_stem.h"
#include "visualization/score.h"

namespace striate {

namespace {

struct QuadraturePoint {
  double at;
  double weight;
};

// The Gauss-Legendre rule on [0, 1]: the roots of the Legendre polynomial by Newton's method.
std::vector<QuadraturePoint> gauss_legendre(int64_t count) {
  const auto n = static_cast<double>(count);
  std::vector<QuadraturePoint> rule;
  for (int64_t i = 0; i < count; ++i) {
    double x = -std::cos(std::numbers::pi * (static_cast<double>(i) + 0.75) / (n + 0.5));
    double slope = 0;
    for (int step = 0; step < 20; ++step) {
      double previous = 1;
      double value = x;
      for (int64_t k = 2; k <= count; ++k) {
        const auto degree = static_cast<double>(k);
        const double next = ((2 * degree - 1) * x * value - (degree - 1) * previous) / degree;
        previous = value;
        value = next;
      }
      slope = n * (x * value - previous) / (x * x - 1);
      const double change = value / slope;
      x -= change;
      if (std::abs(change) < 1e-15) break;
    }
    rule.push_back({(1 + x) / 2, 1 / ((1 - x * x) * slope * slope)});
  }
  return rule;
}

}  // namespace

at::Tensor integrated_gradients(const Network& network, const at::Tensor& images,
                                const Target& target, const IntegratedGradientsOptions& options) {
  check_target(network.graph(), images, target);
  if (options.steps < 1 || options.batch_size < 1) {
    throw std::invalid_argument("steps and batch size of integrated gradients are 1 at least");
  }
  if (options.baseline.defined() && options.baseline.sizes() != images.sizes().slice(1)) {
    throw ShapeError("the baseline of integrated gradients needs the shape of an image");
  }
  AffineStem stem(network, target);
  const at::Tensor baseline = options.baseline.defined()
                                  ? options.baseline.unsqueeze(0).expand_as(images)
                                  : at::zeros_like(images);
  // The stem takes a straight way to a straight way.
  const at::Tensor from = stem.value(baseline.contiguous());
  const at::Tensor way = stem.value(images) - from;
  const std::vector<QuadraturePoint> rule = gauss_legendre(options.steps);
  const auto point = [&](int64_t step) { return rule[static_cast<size_t>(step)]; };
  const at::Tensor sum = stem.gradient_of_value(
      images, target,
      {.steps = options.steps,
       .write_value = [&](int64_t step,
                          at::Tensor value) { at::add_out(value, from, way, point(step).at); },
       .weight = [&](int64_t step) { return point(step).weight; },
       .batch_size = options.batch_size,
       .progress = options.progress});
  return (images - baseline).detach() * stem.gradient(images, sum);
}

}  // namespace striate
