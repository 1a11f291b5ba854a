#pragma once

#include <cstdint>
#include <vector>

namespace striate {

/// A picture of zeros and ones as COCO's run lengths: down its columns, from the left one to the
/// right one, first so many zeros (perhaps none), then so many ones, and so on.
struct RunLengthMask {
  int64_t height = 0;
  int64_t width = 0;
  std::vector<uint32_t> counts;  // their sum is height * width

  bool operator==(const RunLengthMask&) const = default;
};

}  // namespace striate
