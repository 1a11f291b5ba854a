// Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks
// S. Ren, K. He, R. Girshick, J. Sun, 2015
// https://arxiv.org/abs/1506.01497
#include "striate/detection/matching.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace striate {

namespace {

// So many of some indices, in rising order.
at::Tensor drawn(const std::vector<int64_t>& from, int64_t count, Random& random) {
  std::vector<int64_t> chosen = random.permutation(static_cast<int64_t>(from.size()));
  chosen.resize(static_cast<size_t>(std::min<int64_t>(count, std::ssize(from))));
  for (int64_t& index : chosen) index = from[static_cast<size_t>(index)];
  std::ranges::sort(chosen);
  return at::tensor(chosen, at::kLong);
}

}  // namespace

at::Tensor match(const at::Tensor& overlaps, const MatchOptions& options) {
  const int64_t boxes = overlaps.size(1);
  if (overlaps.size(0) == 0) return at::full({boxes}, kBackground, at::kLong);
  const auto [most, nearest] = overlaps.max(0);
  at::Tensor result = nearest.masked_fill(most < options.foreground, kBetween);
  result.masked_fill_(most < options.background, kBackground);
  if (!options.keep_best || boxes == 0) return result;
  // What overlaps an object not at all does not stand for it.
  const at::Tensor largest = overlaps.amax(1, /*keepdim=*/true);
  const at::Tensor best = largest.masked_fill(largest <= 0, 2);
  return at::where((overlaps == best).any(0), nearest, result);
}

BoxSample draw_balanced(const at::Tensor& labels, const SampleOptions& options, Random& random) {
  std::vector<int64_t> positive;
  std::vector<int64_t> negative;
  const at::Tensor own = labels.contiguous();
  const int64_t* label = own.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < own.numel(); ++i) {
    if (label[i] > 0) positive.push_back(i);
    if (label[i] == 0) negative.push_back(i);
  }
  const auto most =
      static_cast<int64_t>(static_cast<double>(options.count) * options.positive_share);
  BoxSample sample{.positive = drawn(positive, most, random), .negative = {}};
  sample.negative = drawn(negative, options.count - sample.positive.numel(), random);
  return sample;
}

}  // namespace striate
