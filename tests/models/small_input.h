#pragma once

#include <algorithm>

#include "striate/models/models.h"

namespace striate {

/// A small input of the kind that a network was made for.
inline Shape small_input(const ModelEntry& entry) {
  Shape input = entry.defaults.input;
  const int64_t size = entry.name.starts_with("alexnet") || entry.name == "nin" ? 96 : 64;
  input[1] = input[2] = std::min<int64_t>(input[1], size);
  return input;
}

}  // namespace striate
