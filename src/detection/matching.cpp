// Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks
// S. Ren, K. He, R. Girshick, J. Sun, 2015
// https://arxiv.org/abs/1506.01497
#include "striate/detection/matching.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "striate/detection/box_coding.h"

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

constexpr int64_t kOverlapsAtOnce = 1 << 18;  // they stay in the cache

// Matches boxes part by part. `overlaps_of(begin, count)` is (objects, count), the same each time.
template <typename OverlapsOf>
at::Tensor match_parts(int64_t objects, int64_t boxes, int64_t at_once, const MatchOptions& options,
                       const OverlapsOf& overlaps_of) {
  at::Tensor result = at::full({boxes}, kBackground, at::kLong);
  if (objects == 0 || boxes == 0) return result;
  at::Tensor nearest = at::empty_like(result);
  at::Tensor largest;  // overlap of each object
  for (int64_t begin = 0; begin < boxes; begin += at_once) {
    const int64_t count = std::min(at_once, boxes - begin);
    const at::Tensor overlaps = overlaps_of(begin, count);
    const auto [most, object] = overlaps.max(0);
    nearest.narrow(0, begin, count).copy_(object);
    result.narrow(0, begin, count)
        .copy_(object.masked_fill(most < options.foreground, kBetween)
                   .masked_fill(most < options.background, kBackground));
    if (!options.keep_best) continue;
    const at::Tensor here = overlaps.amax(1, /*keepdim=*/true);
    largest = largest.defined() ? at::max(largest, here) : here;
  }
  if (!options.keep_best) return result;
  // What overlaps an object not at all does not stand for it.
  const at::Tensor best = largest.masked_fill(largest <= 0, 2);
  for (int64_t begin = 0; begin < boxes; begin += at_once) {
    const int64_t count = std::min(at_once, boxes - begin);
    const at::Tensor is_best = (overlaps_of(begin, count) == best).any(0);
    at::Tensor part = result.narrow(0, begin, count);
    part.copy_(at::where(is_best, nearest.narrow(0, begin, count), part));
  }
  return result;
}

}  // namespace

at::Tensor match(const at::Tensor& overlaps, const MatchOptions& options) {
  return match_parts(overlaps.size(0), overlaps.size(1), overlaps.size(1), options,
                     [&](int64_t, int64_t) { return overlaps; });
}

at::Tensor match_boxes(const at::Tensor& objects, const at::Tensor& boxes,
                       const MatchOptions& options) {
  const int64_t at_once = std::max<int64_t>(kOverlapsAtOnce / (objects.size(0) + 1), 1);
  return match_parts(objects.size(0), boxes.size(0), at_once, options,
                     [&](int64_t begin, int64_t count) {
                       return box_overlaps(objects, boxes.narrow(0, begin, count));
                     });
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
