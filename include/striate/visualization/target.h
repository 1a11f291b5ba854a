#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

namespace striate {

/// Where in a map (C, H, W) a value lies.
struct Position {
  int64_t y = 0;
  int64_t x = 0;
};

/// What a method asks for: one score of each image.
struct Target {
  /// (N) int64: of each image the class, or the channel of the node.
  at::Tensor channels;
  /// Name of the node that the score is a value of; empty: the network's first output, "logits".
  std::string node = {};
  /// Of a node whose value is a map (C, H, W): one unit; absent: the mean over the map.
  std::optional<Position> position = {};
};

/// The same class or channel for each of N images.
Target same_target(int64_t images, int64_t channel, const std::string& node = {});

}  // namespace striate
