#pragma once

#include <cstdint>
#include <vector>

namespace striate {

/// Channels of floats in [0, 255], each whole, rows top to bottom.
struct FloatPlanes {
  int64_t width = 0;
  int64_t height = 0;
  std::vector<std::vector<float>> channels;
};

/// Each channel blurred by a Gaussian of that standard deviation in pixels; edges are repeated.
FloatPlanes gaussian_blur(const FloatPlanes& image, double deviation);

/// Which region each pixel belongs to, and how many there are.
struct Segmentation {
  std::vector<int32_t> labels;  // height * width, from 0
  int32_t count = 0;
};

/// Cuts images into regions whose inner differences are small beside those at their borders.
/// Source: felzenszwalb2004, with the four nearest neighbours of each pixel.
class GraphSegmenter {
 public:
  /// Sorts the differences of neighbouring pixels, once for any scale.
  /// @param deviation  of the blur before, in pixels.
  GraphSegmenter(const FloatPlanes& image, double deviation);

  /// @param scale     the paper's k: larger ones prefer larger regions.
  /// @param min_size  smaller regions join the nearest neighbour, in pixels.
  Segmentation segment(double scale, int64_t min_size) const;

 private:
  struct Edge {
    float weight;
    int32_t from;
    int32_t to;
  };
  int64_t pixels_;
  std::vector<Edge> edges_;  // the smallest difference first
};

}  // namespace striate
