// Visualizing and Understanding Convolutional Networks. M. D. Zeiler, R. Fergus, 2014.
// https://arxiv.org/abs/1311.2901. Departure: the map has every pixel of the image, the mean of all
// squares that hide it.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "striate/runtime/fused_network.h"
#include "striate/visualization/attribution.h"
#include "visualization/derived_network.h"
#include "visualization/score.h"

namespace striate {

namespace {

struct Square {
  int64_t top;
  int64_t left;
  int64_t bottom;
  int64_t right;

  at::Tensor of(const at::Tensor& map) const {  // (…, H, W)
    return map.slice(-2, top, bottom).slice(-1, left, right);
  }
};

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
  const auto derived =
      derived_network(network, {.ends = {target_node(network.graph(), target)}, .fold = false});
  const auto value_of = predictor(*derived);
  const int64_t height = images.size(2);
  const int64_t width = images.size(3);
  const std::vector<Square> all = squares(height, width, options);
  const auto count = static_cast<int64_t>(all.size());
  const at::Tensor sums = at::zeros({images.size(0), height, width}, at::kDouble);
  const at::Tensor hits = at::zeros({height, width}, at::kDouble);
  for (const Square& square : all) square.of(hits) += 1;
  for (int64_t n = 0; n < images.size(0); ++n) {
    const at::Tensor image = images[n].unsqueeze(0);
    const auto score_of = [&](const at::Tensor& batch) {
      const Target same{.channels = target.channels[n].expand({batch.size(0)}),
                        .node = target.node,
                        .position = target.position};
      return scores(value_of(batch), same).to(at::kDouble);
    };
    const at::Tensor whole = score_of(image);
    for (int64_t first = 0; first < count; first += options.batch_size) {
      const int64_t size = std::min(options.batch_size, count - first);
      const at::Tensor batch = image.repeat({size, 1, 1, 1});
      for (int64_t i = 0; i < size; ++i) {
        all[static_cast<size_t>(first + i)].of(batch[i]).fill_(options.value);
      }
      const at::Tensor fall = whole - score_of(batch);
      for (int64_t i = 0; i < size; ++i) {
        all[static_cast<size_t>(first + i)].of(sums[n]) += fall[i];
      }
      if (options.progress) options.progress(n * count + first + size, images.size(0) * count);
    }
  }
  return (sums / hits).to(images.scalar_type());
}

}  // namespace striate
