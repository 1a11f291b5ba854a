#pragma once

#include <cstdint>
#include <vector>

#include "striate/detection/box.h"
#include "striate/image/image.h"

namespace striate {

/// How many ways of segmenting and grouping are joined: 12 or 100, as in OpenCV (8 and 80 in
/// uijlings2013, which has fewer scales).
enum class SelectiveSearchMode { kFast, kQuality };

struct SelectiveSearchOptions {
  SelectiveSearchMode mode = SelectiveSearchMode::kFast;
  /// Of the first segmentation, in pixels; 100 as in OpenCV. Smaller ones join a neighbour.
  int64_t smallest_region = 100;
  /// Narrower or lower boxes are left out, in pixels.
  int64_t min_size = 1;
  /// The best so many; 0: all.
  int64_t max_boxes = 2000;
  /// Of the random order that joins the groupings.
  uint64_t seed = 0;
};

/// Where objects may be: the boxes of the regions of a hierarchical grouping of similar regions,
/// the most likely first, none twice.
/// @param image  grey or RGB.
/// @throws std::invalid_argument  an image that is not whole, or a negative option.
/// Source: uijlings2013; felzenszwalb2004 for the regions that it starts from.
std::vector<Box> selective_search(const Image& image, const SelectiveSearchOptions& options = {});

}  // namespace striate
