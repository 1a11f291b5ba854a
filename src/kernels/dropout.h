#pragma once

#include <cstdint>

namespace striate::kernels {

/// Blocks of so many values draw their numbers on their own.
inline constexpr int64_t kDropoutBlock = 4096;

/// y = 0 with probability p, else x / (1 - p). What falls depends on the seed and a value's place
/// alone: the gradient is the same step on dy. (srivastava2014; numbers by blackman2021's
/// xoshiro128+)
struct Dropout {
  const float* x;
  float* y;
  int64_t count;
  double p;  ///< in [0, 1]
  uint64_t seed;
};
/// Blocks [block_begin, block_end).
void dropout(const Dropout& step, int64_t block_begin, int64_t block_end);

}  // namespace striate::kernels
