// Rich feature hierarchies for accurate object detection and semantic segmentation
// R. Girshick, J. Donahue, T. Darrell, J. Malik, 2014
// https://arxiv.org/abs/1311.2524
#include "striate/detection/suppression.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/suppression.h"

namespace striate {

namespace {

// Indices by group, and in a group by falling score.
template <typename T>
std::vector<int64_t> ordered(const T* scores, const int64_t* groups, int64_t count) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
    if (groups[a] != groups[b]) return groups[a] < groups[b];
    return scores[a] > scores[b];
  });
  return order;
}

template <typename T>
std::vector<int64_t> kept_of(const T* boxes, const T* scores, const int64_t* groups, int64_t count,
                             double threshold) {
  const std::vector<int64_t> order = ordered(scores, groups, count);
  std::vector<T> sides[4];
  for (int side = 0; side < 4; ++side) {
    sides[side].reserve(order.size());
    for (const int64_t i : order) sides[side].push_back(boxes[4 * i + side]);
  }
  std::vector<uint8_t> kept(order.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && groups[order[end]] == groups[order[begin]]) ++end;
    kernels::suppress<T>({.x1 = sides[0].data() + begin,
                          .y1 = sides[1].data() + begin,
                          .x2 = sides[2].data() + begin,
                          .y2 = sides[3].data() + begin,
                          .count = static_cast<int64_t>(end - begin)},
                         threshold, kept.data() + begin);
    begin = end;
  }
  std::vector<int64_t> result;
  for (size_t i = 0; i < order.size(); ++i) {
    if (kept[i] != 0) result.push_back(order[i]);
  }
  std::ranges::sort(result);
  std::ranges::stable_sort(result, [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
  return result;
}

}  // namespace

at::Tensor suppress_overlaps(const at::Tensor& boxes, const at::Tensor& scores, double threshold) {
  return suppress_overlaps(boxes, scores, at::zeros({boxes.size(0)}, at::kLong), threshold);
}

at::Tensor suppress_overlaps(const at::Tensor& boxes, const at::Tensor& scores,
                             const at::Tensor& groups, double threshold) {
  const at::Tensor b = boxes.detach().contiguous();
  const at::Tensor s = scores.detach().to(b.scalar_type()).contiguous();
  const at::Tensor g = groups.contiguous();
  std::vector<int64_t> kept;
  AT_DISPATCH_FLOATING_TYPES(b.scalar_type(), "suppress_overlaps", [&] {
    kept = kept_of<scalar_t>(b.const_data_ptr<scalar_t>(), s.const_data_ptr<scalar_t>(),
                             g.const_data_ptr<int64_t>(), b.size(0), threshold);
  });
  return at::tensor(kept, at::kLong);
}

}  // namespace striate
