#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "detection/graph_segmentation.h"

namespace striate {

/// Counts of colours and of directed edges in each region, and where it lies.
struct Region {
  int64_t size = 0;  // in pixels
  int32_t left = 0;
  int32_t top = 0;
  int32_t right = 0;  // one further than its last pixel
  int32_t bottom = 0;
  std::vector<float> colors;    // sum 1
  std::vector<float> textures;  // sum 1
  std::vector<int32_t> neighbours;
};

/// What makes two regions alike: eqs. 1-6 of uijlings2013.
struct Similarity {
  bool color = false;
  bool texture = false;
  bool size = false;
  bool fill = false;
};

/// The bins of colour and of texture that each pixel falls into, channel by channel.
class RegionMeasurer {
 public:
  explicit RegionMeasurer(const FloatPlanes& image);
  std::vector<Region> measure(const Segmentation& segmentation) const;

 private:
  int64_t width_;
  int64_t height_;
  std::vector<std::vector<uint8_t>> color_bins_;
  std::vector<std::vector<uint8_t>> texture_bins_;
};

/// Joins the two most similar neighbours again and again until one region is left.
/// @param image_size  in pixels.
/// @return  the regions from first to last: those given, then each joined one.
std::vector<Region> group_regions(std::vector<Region> regions, const Similarity& similarity,
                                  int64_t image_size);

}  // namespace striate
