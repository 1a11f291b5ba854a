#pragma once

#include <cstdint>
#include <vector>

#include "striate/base/random.h"

namespace striate {

/// Normal numbers with this deviation; the same seed gives the same.
template <typename T = float>
std::vector<T> random_values(int64_t count, uint64_t seed, double deviation = 1) {
  Random random({seed});
  std::vector<T> values(static_cast<size_t>(count));
  for (T& value : values) value = static_cast<T>(deviation * random.normal());
  return values;
}

}  // namespace striate
