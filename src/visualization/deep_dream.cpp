// Inceptionism: Going Deeper into Neural Networks. A. Mordvintsev, C. Olah, M. Tyka, 2015.
#include <ATen/ops/roll.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "striate/base/random.h"
#include "striate/visualization/ascent.h"
#include "visualization/derived_network.h"

namespace striate {

namespace {

at::Tensor resized(const at::Tensor& images, int64_t height, int64_t width) {
  return at::upsample_bilinear2d(images, {height, width}, false);
}

}  // namespace

at::Tensor deep_dream(const Network& network, const PixelScale& scale, const at::Tensor& pixels,
                      const std::string& node, const DreamOptions& options) {
  if (options.octaves < 1 || !(options.octave_scale > 1) || options.steps < 1 ||
      !(options.learning_rate > 0) || options.jitter < 0) {
    throw std::invalid_argument(
        "a dream needs an octave, a step, a learning rate above 0 and a scale above 1");
  }
  const at::Tensor photo = pixels.to(at::kFloat).unsqueeze(0);
  at::Tensor detail;  // what the dream has added
  Random random({options.seed});
  int64_t done = 0;
  for (int64_t octave = options.octaves - 1; octave >= 0; --octave) {
    const double shrink = std::pow(options.octave_scale, static_cast<double>(octave));
    const auto side = [&](int64_t full) {
      return std::max<int64_t>(1, std::lround(static_cast<double>(full) / shrink));
    };
    const int64_t height = side(photo.size(2));
    const int64_t width = side(photo.size(3));
    const auto derived =
        derived_network(network, {.ends = {node}, .input = Shape{photo.size(1), height, width}});
    const at::Tensor base = resized(photo, height, width);
    at::Tensor x = detail.defined() ? base + resized(detail, height, width) : base;
    for (int64_t step = 0; step < options.steps; ++step) {
      const int64_t dy = random.below(2 * options.jitter + 1) - options.jitter;
      const int64_t dx = random.below(2 * options.jitter + 1) - options.jitter;
      at::AutoGradMode recording(true);
      const at::Tensor seen = at::roll(x, {dy, dx}, {2, 3}).detach().requires_grad_();
      const at::Tensor value = derived->forward(normalize_pixels(seen, scale), {}).at(node);
      const at::Tensor score = value.square().mean();
      const at::Tensor g = torch::autograd::grad({score}, {seen})[0];
      at::NoGradGuard no_grad;
      const double size = std::max(g.abs().mean().item<double>(), 1e-30);
      const at::Tensor next = seen.detach() + g * (options.learning_rate / size);
      x = at::roll(next, {-dy, -dx}, {2, 3}).clamp(0, 1);
      ++done;
      if (options.progress) {
        options.progress(done, options.octaves * options.steps, score.item<double>());
      }
    }
    detail = x - base;
  }
  return (photo + detail)[0].clamp(0, 1).contiguous();
}

}  // namespace striate
