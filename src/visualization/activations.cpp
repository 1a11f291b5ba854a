// Understanding Neural Networks Through Deep Visualization. J. Yosinski, J. Clune, A. Nguyen,
// T. Fuchs, H. Lipson, 2015. https://arxiv.org/abs/1506.06579
#include "striate/visualization/activations.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <stdexcept>

#include "striate/base/error.h"
#include "striate/runtime/fused_network.h"
#include "striate/visualization/picture.h"
#include "visualization/derived_network.h"

namespace striate {

struct NodeValues::Parts {
  std::unique_ptr<Network> network;
  std::function<at::Tensor(const at::Tensor&)> compute;
};

NodeValues::NodeValues(const Network& network, const std::string& node) {
  auto parts = std::make_unique<Parts>();
  parts->network = derived_network(network, {.ends = {node}, .fold = false});
  parts->compute = predictor(*parts->network);
  parts_ = std::move(parts);
}
NodeValues::~NodeValues() = default;

at::Tensor NodeValues::operator()(const at::Tensor& images) const {
  at::NoGradGuard no_grad;
  return parts_->compute(images);
}

std::vector<int64_t> strongest_channels(const at::Tensor& map, int64_t count) {
  if (map.dim() != 3 && map.dim() != 1) throw ShapeError("a map needs the shape (K, h, w) or (F)");
  const at::Tensor means =
      (map.dim() == 3 ? map.mean({1, 2}) : map).to(at::kCPU, at::kFloat).contiguous();
  const float* mean = means.const_data_ptr<float>();
  std::vector<int64_t> order(static_cast<size_t>(map.size(0)));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) { return mean[a] > mean[b]; });
  order.resize(static_cast<size_t>(std::min(count, map.size(0))));
  return order;
}

Image activation_picture(const at::Tensor& map, int64_t count, int64_t enlarge) {
  if (map.dim() != 3 || map.numel() == 0) {
    throw ShapeError("an activation picture needs a map (K, h, w)");
  }
  std::vector<Image> pictures;
  for (const int64_t channel : strongest_channels(map, count)) {
    pictures.push_back(heat_picture(map[channel]));
  }
  const int64_t factor =
      enlarge > 0 ? enlarge : std::clamp<int64_t>(64 / std::max<int64_t>(1, map.size(2)), 1, 16);
  return picture_grid(pictures,
                      {.columns = std::min<int64_t>(8, std::ssize(pictures)), .enlarge = factor});
}

TopResponses::TopResponses(int64_t channels, int64_t count)
    : count_(count), best_(static_cast<size_t>(channels)) {
  if (channels < 1 || count < 1) {
    throw std::invalid_argument("responses need a channel and an image at least");
  }
}

void TopResponses::add(const at::Tensor& values, int64_t first_image) {
  const auto channels = static_cast<int64_t>(best_.size());
  if ((values.dim() != 4 && values.dim() != 2) || values.size(1) != channels) {
    throw ShapeError("responses need the shape (N, K, h, w) or (N, K) of their channels");
  }
  const int64_t width = values.dim() == 4 ? values.size(3) : 1;
  const auto [largest, places] = values.reshape({values.size(0), channels, -1}).max(2);
  const at::Tensor numbers = largest.to(at::kFloat).contiguous();
  const at::Tensor at = places.contiguous();
  const auto before = [](const Response& a, const Response& b) {
    return a.value > b.value || (a.value == b.value && a.image < b.image);
  };
  for (int64_t n = 0; n < values.size(0); ++n) {
    for (int64_t k = 0; k < channels; ++k) {
      const int64_t i = n * channels + k;
      const int64_t place = at.const_data_ptr<int64_t>()[i];
      const Response response{.image = first_image + n,
                              .value = numbers.const_data_ptr<float>()[i],
                              .y = place / width,
                              .x = place % width};
      std::vector<Response>& best = best_[static_cast<size_t>(k)];
      const bool full = std::ssize(best) == count_;
      if (full && !before(response, best.back())) continue;
      if (full) best.pop_back();
      best.insert(std::ranges::upper_bound(best, response, before), response);
    }
  }
}

}  // namespace striate
