// Selective Search for Object Recognition. Uijlings, van de Sande, Gevers, Smeulders, 2013.
// https://doi.org/10.1007/s11263-013-0620-5
// Departures: the scales and the smallest region of the first segmentation are those of OpenCV's
// implementation, whose images are not resized either, and so are the colours of the quality mode:
// red and green instead of their shares, and blue instead of hue. They find a little more.

#include "striate/detection/selective_search.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <stdexcept>

#include "detection/graph_segmentation.h"
#include "detection/region_grouping.h"
#include "striate/base/random.h"

namespace striate {
namespace {

constexpr double kBlur = 0.8;

using Color = std::array<float, 3>;

// Colours in [0, 255]; hue is half the angle in degrees, as in OpenCV.
Color hsv(const Color& rgb) {
  const auto [r, g, b] = rgb;
  const float highest = std::max({r, g, b});
  const float range = highest - std::min({r, g, b});
  if (range == 0) return {0, 0, highest};
  float sixth = 0;
  if (highest == r) {
    sixth = (g - b) / range + (g < b ? 6.0F : 0.0F);
  } else if (highest == g) {
    sixth = (b - r) / range + 2;
  } else {
    sixth = (r - g) / range + 4;
  }
  return {sixth * 30, range / highest * 255, highest};
}

float linear(float value) {
  const float share = value / 255;
  return share <= 0.04045F ? share / 12.92F : std::pow((share + 0.055F) / 1.055F, 2.4F);
}

// CIE 1976, for sRGB and its white (D65).
Color lab(const Color& rgb) {
  static const std::array<float, 256> linear_values = [] {
    std::array<float, 256> values{};
    for (size_t i = 0; i < values.size(); ++i) values[i] = linear(static_cast<float>(i));
    return values;
  }();
  const float r = linear_values[static_cast<size_t>(rgb[0])];
  const float g = linear_values[static_cast<size_t>(rgb[1])];
  const float b = linear_values[static_cast<size_t>(rgb[2])];
  const auto root = [](float t) { return t > 0.008856F ? std::cbrt(t) : 7.787F * t + 16.0F / 116; };
  const float x = root((0.412453F * r + 0.357580F * g + 0.180423F * b) / 0.950456F);
  const float y = root(0.212671F * r + 0.715160F * g + 0.072169F * b);
  const float z = root((0.019334F * r + 0.119193F * g + 0.950227F * b) / 1.088754F);
  return {(116 * y - 16) * 2.55F, 500 * (x - y) + 128, 200 * (y - z) + 128};
}

float intensity(const Color& rgb) {
  return 0.299F * rgb[0] + 0.587F * rgb[1] + 0.114F * rgb[2];
}

Color red_green_intensity(const Color& rgb) {
  return {rgb[0], rgb[1], intensity(rgb)};
}

struct ColorSpace {
  Color (*convert)(const Color&);
  size_t channels;
};

Color blue(const Color& rgb) {
  return {rgb[2]};
}
Color grey(const Color& rgb) {
  return {intensity(rgb)};
}

// Table 7, with OpenCV's scales.
struct Diversity {
  std::vector<ColorSpace> colors;
  std::vector<double> scales;
  std::vector<Similarity> similarities;
};

Diversity diversity_of(SelectiveSearchMode mode) {
  const Similarity all{.color = true, .texture = true, .size = true, .fill = true};
  const Similarity without_color{.texture = true, .size = true, .fill = true};
  if (mode == SelectiveSearchMode::kFast) {
    return {.colors = {{hsv, 3}, {lab, 3}},
            .scales = {150, 300, 450},
            .similarities = {all, without_color}};
  }
  return {.colors = {{hsv, 3}, {lab, 3}, {red_green_intensity, 3}, {blue, 1}, {grey, 1}},
          .scales = {150, 300, 450, 600, 750},
          .similarities = {all, without_color, {.fill = true}, {.size = true}}};
}

FloatPlanes convert(const Image& image, const ColorSpace& space) {
  FloatPlanes planes{.width = image.width, .height = image.height};
  planes.channels.assign(space.channels, std::vector<float>(image.width * image.height));
  for (int64_t i = 0; i < image.width * image.height; ++i) {
    const uint8_t* pixel = image.pixels.data() + 3 * i;
    const Color color = space.convert(
        {static_cast<float>(pixel[0]), static_cast<float>(pixel[1]), static_cast<float>(pixel[2])});
    for (size_t k = 0; k < space.channels; ++k) planes.channels[k][i] = color[k];
  }
  return planes;
}

using Hierarchy = std::vector<Box>;  // from the smallest regions to the whole image

Hierarchy boxes_of(const std::vector<Region>& regions) {
  Hierarchy boxes;
  for (const Region& region : regions) {
    boxes.push_back({static_cast<double>(region.left), static_cast<double>(region.top),
                     static_cast<double>(region.right), static_cast<double>(region.bottom)});
  }
  return boxes;
}

std::vector<Hierarchy> hierarchies_of(const Image& image, const ColorSpace& space,
                                      const Diversity& diversity, int64_t smallest_region) {
  const FloatPlanes planes = convert(image, space);
  const GraphSegmenter segmenter(planes, kBlur);
  const RegionMeasurer measurer(planes);
  std::vector<Hierarchy> hierarchies;
  for (const double scale : diversity.scales) {
    const auto regions = measurer.measure(segmenter.segment(scale, smallest_region));
    for (const Similarity& similarity : diversity.similarities) {
      hierarchies.push_back(
          boxes_of(group_regions(regions, similarity, image.width * image.height)));
    }
  }
  return hierarchies;
}

struct Ranked {
  double rank;
  Box box;
};

// Section 3.3: the place in its hierarchy, from the whole image on, times a random number.
std::vector<Ranked> rank(const std::vector<std::vector<Hierarchy>>& hierarchies, Random& random) {
  std::vector<Ranked> ranked;
  for (const auto& of_color : hierarchies) {
    for (const Hierarchy& boxes : of_color) {
      for (size_t i = 0; i < boxes.size(); ++i) {
        ranked.push_back({random.uniform() * static_cast<double>(boxes.size() - i), boxes[i]});
      }
    }
  }
  std::ranges::stable_sort(ranked, {}, &Ranked::rank);
  return ranked;
}

void check(const Image& image, const SelectiveSearchOptions& options) {
  const bool whole = image.width > 0 && image.height > 0 &&
                     std::ssize(image.pixels) == image.width * image.height * image.channels;
  if (!whole) throw std::invalid_argument("selective search needs a whole image");
  if (options.smallest_region < 0 || options.min_size < 0 || options.max_boxes < 0) {
    throw std::invalid_argument("sizes and numbers of boxes are not negative");
  }
}

}  // namespace

std::vector<Box> selective_search(const Image& image, const SelectiveSearchOptions& options) {
  check(image, options);
  const Image rgb = to_rgb(image);
  const Diversity diversity = diversity_of(options.mode);
  std::vector<std::vector<Hierarchy>> hierarchies(diversity.colors.size());
  at::parallel_for(0, std::ssize(hierarchies), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      hierarchies[i] = hierarchies_of(rgb, diversity.colors[i], diversity, options.smallest_region);
    }
  });
  Random random({options.seed, hash_name("selective search")});
  std::vector<Box> boxes;
  std::set<std::array<double, 4>> seen;
  for (const Ranked& one : rank(hierarchies, random)) {
    const Box& box = one.box;
    if (options.max_boxes > 0 && std::ssize(boxes) == options.max_boxes) break;
    if (std::min(box.width(), box.height()) < static_cast<double>(options.min_size)) continue;
    if (seen.insert({box.x1, box.y1, box.x2, box.y2}).second) boxes.push_back(box);
  }
  return boxes;
}

}  // namespace striate
