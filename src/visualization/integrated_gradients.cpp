// Axiomatic Attribution for Deep Networks. M. Sundararajan, A. Taly, Q. Yan, 2017.
// https://arxiv.org/abs/1703.01365. Departure: the integral by a Gauss-Legendre rule instead of
// steps of equal length (eq. 3), which needs fewer of them.
#include <ATen/core/grad_mode.h>
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
  if (options.steps < 1) throw std::invalid_argument("integrated gradients need a step at least");
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
  at::Tensor sum = at::zeros_like(way);
  int64_t done = 0;
  for (const auto& [at, weight] : gauss_legendre(options.steps)) {
    sum += score_gradient(stem.rest(), from + way * at, target, "input").gradient * weight;
    if (options.progress) options.progress(++done, options.steps);
  }
  return (images - baseline).detach() * stem.gradient(images, sum);
}

}  // namespace striate
