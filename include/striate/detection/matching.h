#pragma once

#include <ATen/core/Tensor.h>

#include "striate/base/random.h"

namespace striate {

/// Which boxes stand for which objects.
struct MatchOptions {
  double foreground = 0.5;  ///< from this overlap on a box stands for the object
  double background = 0.5;  ///< below this one it stands for none
  /// Whether each object also gets the boxes that overlap it most, however little.
  bool keep_best = false;
};
constexpr int64_t kBackground = -1;  ///< in place of an object's index
constexpr int64_t kBetween = -2;     ///< neither: not trained on

/// For each box the object that it overlaps most, or one of the two above.
/// @param overlaps  (objects, boxes) in [0, 1]; without objects all boxes are background
/// @return          (boxes) int64
/// Source: ren2015, 3.1.2.
at::Tensor match(const at::Tensor& overlaps, const MatchOptions& options);

/// The same of boxes, without all overlaps in memory at once.
/// @param objects  (M, 4)    @param boxes  (N, 4)    @return  (N) int64
at::Tensor match_boxes(const at::Tensor& objects, const at::Tensor& boxes,
                       const MatchOptions& options);

struct SampleOptions {
  int64_t count = 256;          ///< boxes of an image
  double positive_share = 0.5;  ///< at most so many of them stand for objects
};
/// Indices in rising order, int64.
struct BoxSample {
  at::Tensor positive;
  at::Tensor negative;
};
/// Draws boxes to train on, from `labels`: (N) int64, above 0 for an object, 0 for background,
/// below for neither. What is missing of objects is filled up by background. Source:
/// girshick2015, 2.3; ren2015, 3.1.3.
BoxSample draw_balanced(const at::Tensor& labels, const SampleOptions& options, Random& random);

}  // namespace striate
