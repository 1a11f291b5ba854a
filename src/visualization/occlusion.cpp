// Visualizing and Understanding Convolutional Networks. M. D. Zeiler, R. Fergus, 2014.
// https://arxiv.org/abs/1311.2901. Departure: the map has every pixel of the image, the mean of all
// squares that hide it.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "striate/visualization/attribution.h"
#include "visualization/occluded_network.h"
#include "visualization/score.h"

namespace striate {

namespace {

std::vector<int64_t> starts(int64_t side, int64_t window, int64_t stride) {
  const int64_t count = window >= side ? 1 : (side - window + stride - 1) / stride + 1;
  std::vector<int64_t> result;
  for (int64_t i = 0; i < count; ++i) result.push_back(i * stride);
  return result;
}

std::vector<Square> squares(int64_t height, int64_t width, const OcclusionOptions& options) {
  std::vector<Square> result;
  for (const int64_t y : starts(height, options.window, options.stride)) {
    for (const int64_t x : starts(width, options.window, options.stride)) {
      result.push_back(
          {y, x, std::min(height, y + options.window), std::min(width, x + options.window)});
    }
  }
  return result;
}

}  // namespace

at::Tensor occlusion(const Network& network, const at::Tensor& images, const Target& target,
                     const OcclusionOptions& options) {
  check_target(network.graph(), images, target);
  if (options.window < 1 || options.stride < 1 || options.batch_size < 1) {
    throw std::invalid_argument("window, stride and batch size of occlusion are 1 at least");
  }
  if (options.stride > options.window) {
    throw std::invalid_argument(
        "squares of occlusion that are further apart than they are wide "
        "leave pixels out: the stride is at most the window");
  }
  at::NoGradGuard no_grad;
  const int64_t height = images.size(2);
  const int64_t width = images.size(3);
  const OccludedNetwork occluded(network, target, options.window);
  const std::vector<Square> all = squares(height, width, options);
  const auto count = static_cast<int64_t>(all.size());
  const at::Tensor sums = at::zeros({images.size(0), height, width}, at::kDouble);
  const at::Tensor hits = at::zeros({height, width}, at::kDouble);
  for (const Square& square : all) square.of(hits) += 1;
  for (int64_t n = 0; n < images.size(0); ++n) {
    const at::Tensor image = images[n].unsqueeze(0);
    const auto score_of = [&](const at::Tensor& values) {
      const Target same{.channels = target.channels[n].expand({values.size(0)}),
                        .node = target.node,
                        .position = target.position};
      return scores(occluded.rest(values), same).to(at::kDouble);
    };
    const at::Tensor stem = occluded.stem(image);
    const at::Tensor whole = score_of(stem);
    for (int64_t first = 0; first < count; first += options.batch_size) {
      const int64_t size = std::min(options.batch_size, count - first);
      const std::vector<Square> some(all.begin() + first, all.begin() + first + size);
      const at::Tensor fall =
          whole - score_of(occluded.occluded_stem(image, stem, some, options.value));
      for (int64_t i = 0; i < size; ++i) some[static_cast<size_t>(i)].of(sums[n]) += fall[i];
      if (options.progress) options.progress(n * count + first + size, images.size(0) * count);
    }
  }
  return (sums / hits).to(images.scalar_type());
}

}  // namespace striate
