#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "striate/models/models.h"

namespace striate {

/// A small input of the kind that a network was made for.
inline Shape small_input(const ModelEntry& entry) {
  Shape input = entry.defaults.input;
  const int64_t size = entry.name.starts_with("alexnet") || entry.name == "nin" ? 96 : 64;
  input[1] = input[2] = std::min<int64_t>(input[1], size);
  return input;
}

/// The registry's networks but these.
inline std::vector<std::string> all_but(const std::vector<std::string>& some) {
  std::vector<std::string> names = model_names();
  std::erase_if(
      names, [&](const std::string& name) { return std::ranges::find(some, name) != some.end(); });
  return names;
}

/// A network's name as a part of a test's.
inline std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '@', '_');
  return name;
}

}  // namespace striate
