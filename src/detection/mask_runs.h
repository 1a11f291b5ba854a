#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "striate/image/image.h"

namespace striate {

/// Builds the counts of a mask from stretches of zeros and ones, in COCO's order.
class RunAppender {
 public:
  void append(bool one, uint32_t pixels) {
    if (pixels == 0) return;
    if (one != (counts_.size() % 2 == 0)) counts_.push_back(0);
    counts_.back() += pixels;
  }
  std::vector<uint32_t> finish() { return std::move(counts_); }

 private:
  std::vector<uint32_t> counts_ = {0};
};

inline bool fills(const std::vector<uint32_t>& counts, const ImageSize& size) {
  int64_t pixels = 0;
  for (const uint32_t count : counts) pixels += count;
  return pixels == size.height * size.width;
}

}  // namespace striate
