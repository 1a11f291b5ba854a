#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "striate/detection/box.h"
#include "striate/detection/mask.h"

namespace striate {

/// An object that people marked in an image.
struct Instance {
  Box box;
  int64_t label = 0;  ///< its class, from 0
  double area = 0;    ///< in pixels: COCO's `area`, of the mask where it has one
  /// Many objects under one region (COCO), or one that is too hard to count (VOC's `difficult`):
  /// never trained on, and detections of it are neither right nor wrong.
  bool ignored = false;
  std::optional<RunLengthMask> mask = {};
};

/// An image and what is in it.
struct AnnotatedImage {
  int64_t id = 0;  ///< COCO's number, else its place in the data set
  std::filesystem::path path;
  int64_t width = 0;
  int64_t height = 0;
  std::vector<Instance> instances;
};

/// An object that a network found.
struct Detection {
  Box box;
  int64_t label = 0;  ///< its class, from 0
  double score = 0;   ///< in [0, 1]
  std::optional<RunLengthMask> mask = {};
};

}  // namespace striate
