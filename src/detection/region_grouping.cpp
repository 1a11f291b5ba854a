// Selective Search for Object Recognition. Uijlings, van de Sande, Gevers, Smeulders, 2013,
// sections 3.1 and 3.2. https://doi.org/10.1007/s11263-013-0620-5
// Departure: the derivatives of the textures are central differences of a blurred image.

#include "detection/region_grouping.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <queue>
#include <utility>

namespace striate {
namespace {

constexpr int kColorBins = 25;
constexpr int kTextureBins = 10;
constexpr int kDirections = 8;
constexpr double kTextureBlur = 1;  // the paper's sigma
// Bins end where colours and their differences do, not at the largest of an image: a single sharp
// edge would decide which textures differ.
constexpr float kLargest = 256;

std::vector<uint8_t> bins_of(const std::vector<float>& values, int count) {
  std::vector<uint8_t> bins(values.size());
  const float scale = static_cast<float>(count) / kLargest;
  for (size_t i = 0; i < values.size(); ++i) {
    bins[i] = static_cast<uint8_t>(std::clamp(static_cast<int>(values[i] * scale), 0, count - 1));
  }
  return bins;
}

// The slope of a plane in one direction; none where it falls.
std::vector<float> rising(const std::vector<float>& plane, int64_t width, int64_t height,
                          double angle) {
  const auto along_x = static_cast<float>(std::cos(angle));
  const auto along_y = static_cast<float>(std::sin(angle));
  std::vector<float> slopes(plane.size());
  for (int64_t y = 0; y < height; ++y) {
    const float* above = plane.data() + std::max<int64_t>(y - 1, 0) * width;
    const float* here = plane.data() + y * width;
    const float* below = plane.data() + std::min(y + 1, height - 1) * width;
    for (int64_t x = 0; x < width; ++x) {
      const float dx = here[std::min(x + 1, width - 1)] - here[std::max<int64_t>(x - 1, 0)];
      const float dy = below[x] - above[x];
      slopes[y * width + x] = std::max(0.0F, along_x * dx + along_y * dy);
    }
  }
  return slopes;
}

void normalize(std::vector<float>& counts) {
  float sum = 0;
  for (const float count : counts) sum += count;
  for (float& count : counts) count /= sum;
}

float shared(const std::vector<float>& a, const std::vector<float>& b) {
  float sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::min(a[i], b[i]);
  return sum;
}

// Eq. 3.
std::vector<float> mean(const std::vector<float>& a, const std::vector<float>& b,
                        float share_of_a) {
  std::vector<float> both(a.size());
  for (size_t i = 0; i < a.size(); ++i) both[i] = share_of_a * a[i] + (1 - share_of_a) * b[i];
  return both;
}

Region join(const Region& a, const Region& b) {
  const float share = static_cast<float>(a.size) / static_cast<float>(a.size + b.size);
  return {.size = a.size + b.size,
          .left = std::min(a.left, b.left),
          .top = std::min(a.top, b.top),
          .right = std::max(a.right, b.right),
          .bottom = std::max(a.bottom, b.bottom),
          .colors = mean(a.colors, b.colors, share),
          .textures = mean(a.textures, b.textures, share)};
}

// Eq. 6: the terms that are asked for.
float similarity_of(const Region& a, const Region& b, const Similarity& asked, float image_size) {
  const auto size = static_cast<float>(a.size + b.size);
  float sum = 0;
  if (asked.color) sum += shared(a.colors, b.colors);
  if (asked.texture) sum += shared(a.textures, b.textures);
  if (asked.size) sum += 1 - size / image_size;
  if (asked.fill) {
    const auto width = static_cast<float>(std::max(a.right, b.right) - std::min(a.left, b.left));
    const auto height = static_cast<float>(std::max(a.bottom, b.bottom) - std::min(a.top, b.top));
    sum += 1 - (width * height - size) / image_size;
  }
  return sum;
}

void link_neighbours(const std::vector<int32_t>& labels, int64_t width, int64_t height,
                     std::vector<Region>& regions) {
  const auto link = [&](int32_t a, int32_t b) {
    if (a == b) return;
    regions[a].neighbours.push_back(b);
    regions[b].neighbours.push_back(a);
  };
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const int64_t pixel = y * width + x;
      if (x + 1 < width) link(labels[pixel], labels[pixel + 1]);
      if (y + 1 < height) link(labels[pixel], labels[pixel + width]);
    }
  }
  for (Region& region : regions) {
    std::ranges::sort(region.neighbours);
    const auto repeated = std::ranges::unique(region.neighbours);
    region.neighbours.erase(repeated.begin(), repeated.end());
  }
}

struct Pair {
  float similarity;
  int32_t a;
  int32_t b;
  auto operator<=>(const Pair&) const = default;
};

}  // namespace

RegionMeasurer::RegionMeasurer(const FloatPlanes& image)
    : width_(image.width), height_(image.height) {
  const FloatPlanes smooth = gaussian_blur(image, kTextureBlur);
  for (size_t channel = 0; channel < image.channels.size(); ++channel) {
    color_bins_.push_back(bins_of(image.channels[channel], kColorBins));
    for (int direction = 0; direction < kDirections; ++direction) {
      const double angle = 2 * std::numbers::pi * direction / kDirections;
      const auto slopes = rising(smooth.channels[channel], width_, height_, angle);
      texture_bins_.push_back(bins_of(slopes, kTextureBins));
    }
  }
}

std::vector<Region> RegionMeasurer::measure(const Segmentation& segmentation) const {
  std::vector<Region> regions(segmentation.count);
  for (Region& region : regions) {
    region.left = static_cast<int32_t>(width_);
    region.top = static_cast<int32_t>(height_);
    region.colors.resize(color_bins_.size() * kColorBins);
    region.textures.resize(texture_bins_.size() * kTextureBins);
  }
  const std::vector<int32_t>& labels = segmentation.labels;
  for (int32_t y = 0; y < height_; ++y) {
    for (int32_t x = 0; x < width_; ++x) {
      Region& region = regions[labels[y * width_ + x]];
      ++region.size;
      region.left = std::min(region.left, x);
      region.right = std::max(region.right, x + 1);
      region.top = std::min(region.top, y);
      region.bottom = std::max(region.bottom, y + 1);
    }
  }
  for (size_t i = 0; i < labels.size(); ++i) {
    Region& region = regions[labels[i]];
    for (size_t k = 0; k < color_bins_.size(); ++k) {
      ++region.colors[k * kColorBins + color_bins_[k][i]];
    }
    for (size_t k = 0; k < texture_bins_.size(); ++k) {
      ++region.textures[k * kTextureBins + texture_bins_[k][i]];
    }
  }
  for (Region& region : regions) {
    normalize(region.colors);
    normalize(region.textures);
  }
  link_neighbours(labels, width_, height_, regions);
  return regions;
}

std::vector<Region> group_regions(std::vector<Region> regions, const Similarity& similarity,
                                  int64_t image_size) {
  const auto size = static_cast<float>(image_size);
  std::priority_queue<Pair> pairs;
  const auto add_pair = [&](int32_t a, int32_t b) {
    pairs.push({similarity_of(regions[a], regions[b], similarity, size), a, b});
  };
  for (int32_t a = 0; a < std::ssize(regions); ++a) {
    for (const int32_t b : regions[a].neighbours) {
      if (a < b) add_pair(a, b);
    }
  }
  std::vector<bool> joined(2 * regions.size());
  std::vector<int32_t> met(2 * regions.size(), -1);  // by which joined region, last
  regions.reserve(2 * regions.size());
  while (!pairs.empty()) {
    const Pair best = pairs.top();
    pairs.pop();
    if (joined[best.a] || joined[best.b]) continue;
    joined[best.a] = joined[best.b] = true;
    const auto made = static_cast<int32_t>(regions.size());
    regions.push_back(join(regions[best.a], regions[best.b]));
    for (const int32_t from : {best.a, best.b}) {
      for (const int32_t other : std::exchange(regions[from].neighbours, {})) {
        if (joined[other] || met[other] == made) continue;
        met[other] = made;
        regions[made].neighbours.push_back(other);
        regions[other].neighbours.push_back(made);
        add_pair(other, made);
      }
    }
  }
  return regions;
}

}  // namespace striate
