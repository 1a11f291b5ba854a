#pragma once

#include <vector>

#include "kernels/tiles.h"

namespace striate {

/// While it lives, products run on matrix tiles, where the processor has them, or don't.
class TilesAllowed {
 public:
  explicit TilesAllowed(bool allowed) : before_(kernels::allow_tiles(allowed)) {}
  ~TilesAllowed() { kernels::allow_tiles(before_); }
  TilesAllowed(const TilesAllowed&) = delete;
  TilesAllowed& operator=(const TilesAllowed&) = delete;

 private:
  bool before_;
};

/// Without the tiles, and with them where the processor has them.
inline std::vector<bool> ways_to_multiply() {
  return kernels::multiplies_by_tiles() ? std::vector{false, true} : std::vector{false};
}

}  // namespace striate
