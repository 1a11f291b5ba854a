#pragma once

#include <algorithm>

namespace striate {

/// The factor of a coordinate's step: it grows while steps go one way and shrinks when they turn
/// (jacobs1988, with the constants of vandermaaten2008's program).
inline float next_gain(float gain, float gradient, float update) {
  constexpr float kGrowth = 0.2F;
  constexpr float kDecay = 0.8F;
  constexpr float kSmallest = 0.01F;
  const bool onwards = (gradient > 0) != (update > 0);
  return onwards ? gain + kGrowth : std::max(gain * kDecay, kSmallest);
}

}  // namespace striate
