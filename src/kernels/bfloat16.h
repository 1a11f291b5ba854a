#pragma once

#include <cstdint>

namespace striate::kernels {

/// The upper half of a float32: the nearest one, ties to even; what is not a number stays so.
struct BFloat16 {
  uint16_t bits;
};

}  // namespace striate::kernels
