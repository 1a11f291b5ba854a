#pragma once

#include <cstdint>

namespace striate::kernels {

/// Bytes of a core's own cache (of the second level), or a guess.
int64_t cache_size();

}  // namespace striate::kernels
