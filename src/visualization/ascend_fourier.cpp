// Feature Visualization. C. Olah, A. Mordvintsev, L. Schubert, 2017.
// https://distill.pub/2017/feature-visualization. Departures: the random move, scale and turn of an
// image are one bilinear sampling, with edges mirrored, instead of four transformations in a row.
#include <ATen/ops/affine_grid_generator.h>
#include <ATen/ops/fft_fftfreq.h>
#include <ATen/ops/fft_irfft2.h>
#include <ATen/ops/fft_rfftfreq.h>
#include <ATen/ops/grid_sampler.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/view_as_complex.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "striate/base/random.h"
#include "striate/visualization/ascent.h"
#include "visualization/adam.h"
#include "visualization/derived_network.h"
#include "visualization/score.h"
#include "visualization/seeded.h"

namespace striate {

namespace {

constexpr double kStartDeviation = 0.01;  // of the coefficients
constexpr double kMostMove = 16;          // pixels of an image of 224
constexpr double kMostScale = 0.1;
constexpr double kMostTurn = 10;  // degrees

// The image as coefficients, whose sizes are scaled so that a step changes all frequencies of a
// photo alike: 1 / f.
class FourierImage {
 public:
  explicit FourierImage(const Shape& shape) : shape_(shape) {
    const auto height = static_cast<double>(shape[1]);
    const auto width = static_cast<double>(shape[2]);
    const at::Tensor fy = at::fft_fftfreq(shape[1]).unsqueeze(1);
    const at::Tensor fx = at::fft_rfftfreq(shape[2]).unsqueeze(0);
    const at::Tensor f = (fx.square() + fy.square()).sqrt();
    scale_ = f.clamp_min(1 / std::max(height, width)).reciprocal() * std::sqrt(height * width);
  }

  std::vector<int64_t> coefficients() const {
    return {1, shape_[0], shape_[1], shape_[2] / 2 + 1, 2};
  }

  // (1, C, H, W) pixels in (0, 1).
  at::Tensor pixels(const at::Tensor& coefficients) const {
    const at::Tensor spectrum = at::view_as_complex(coefficients) * scale_;
    const at::Tensor x = at::fft_irfft2(spectrum, {{shape_[1], shape_[2]}}) / 4;
    return in_colors_of_photos(x).sigmoid();
  }

 private:
  // A root of the covariance of ImageNet's colours, scaled to a largest norm of 1 (olah2017's
  // figures).
  at::Tensor in_colors_of_photos(const at::Tensor& x) const {
    if (shape_[0] != 3) return x;
    at::Tensor root =
        at::tensor({0.26, 0.09, 0.02, 0.27, 0.00, -0.05, 0.27, -0.09, 0.03}, at::kDouble)
            .view({3, 3});
    root = root / root.square().sum(0).sqrt().max();
    return at::einsum("oc,nchw->nohw", {root.to(at::kFloat), x});
  }

  Shape shape_;
  at::Tensor scale_;
};

at::Tensor moved(const at::Tensor& image, Random& random) {
  const double turn = random.uniform(-kMostTurn, kMostTurn) * std::numbers::pi / 180;
  const double scale = 1 + random.uniform(-kMostScale, kMostScale);
  const double y = random.uniform(-kMostMove, kMostMove) * 2 / 224;  // of half the image
  const double x = random.uniform(-kMostMove, kMostMove) * 2 / 224;
  const at::Tensor matrix = at::tensor({scale * std::cos(turn), -scale * std::sin(turn), x,
                                        scale * std::sin(turn), scale * std::cos(turn), y},
                                       at::kFloat)
                                .view({1, 2, 3});
  const at::Tensor grid = at::affine_grid_generator(matrix, image.sizes(), false);
  return at::grid_sampler(image, grid, /*bilinear*/ 0, /*reflected*/ 2, false);
}

}  // namespace

Ascent ascend_fourier(const Network& network, const PixelScale& scale, const Unit& unit,
                      const FourierAscentOptions& options) {
  if (options.steps < 1 || !(options.learning_rate > 0)) {
    throw std::invalid_argument("ascent needs a step at least, and a learning rate above 0");
  }
  const FourierImage image(network.graph().input_shape());
  at::Tensor coefficients = seeded_normal(image.coefficients(), options.seed) * kStartDeviation;
  const Target target{.channels = at::zeros({1}, at::kLong) + unit.channel,
                      .node = unit.node,
                      .position = unit.position};
  const std::string node = target_node(network.graph(), target);
  check_target(network.graph(), image.pixels(coefficients), target);
  const auto derived = derived_network(network, {.ends = {node}});
  Random random({options.seed});
  Adam adam(options.learning_rate);
  Ascent result;
  for (int64_t step = 0; step < options.steps; ++step) {
    at::AutoGradMode recording(true);
    coefficients = coefficients.detach().requires_grad_();
    at::Tensor pixels = image.pixels(coefficients);
    if (options.transform) pixels = moved(pixels, random);
    const at::Tensor value = derived->forward(normalize_pixels(pixels, scale), {}).at(node);
    const at::Tensor score = scores(value, target).sum();
    const at::Tensor gradient = torch::autograd::grad({score}, {coefficients})[0];
    at::NoGradGuard no_grad;
    adam.step(coefficients, -gradient);
    result.scores.push_back(score.item<double>());
    if (options.progress) options.progress(step + 1, options.steps, result.scores.back());
  }
  at::NoGradGuard no_grad;
  result.pixels = image.pixels(coefficients)[0].contiguous();
  return result;
}

}  // namespace striate
