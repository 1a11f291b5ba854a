// Efficient Graph-Based Image Segmentation. Felzenszwalb, Huttenlocher, 2004.
// https://doi.org/10.1023/B:VISI.0000022288.19776.77
// Departure: a pixel has four neighbours, not eight: fewer regions run into each other.

#include "detection/graph_segmentation.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

namespace striate {
namespace {

// The blur's reach, in standard deviations.
constexpr double kReach = 4;

std::vector<float> gaussian_kernel(double deviation) {
  const auto radius = static_cast<int64_t>(std::ceil(kReach * deviation));
  std::vector<float> kernel;
  float sum = 0;
  for (int64_t i = -radius; i <= radius; ++i) {
    const double x = static_cast<double>(i) / deviation;
    kernel.push_back(static_cast<float>(std::exp(-0.5 * x * x)));
    sum += kernel.back();
  }
  for (float& weight : kernel) weight /= sum;
  return kernel;
}

std::vector<float> blur(const std::vector<float>& plane, int64_t width, int64_t height,
                        const std::vector<float>& kernel) {
  const int64_t radius = std::ssize(kernel) / 2;
  std::vector<float> padded(width + 2 * radius);
  std::vector<float> across(plane.size());
  for (int64_t y = 0; y < height; ++y) {
    const float* row = plane.data() + y * width;
    std::fill_n(padded.begin(), radius, row[0]);
    std::copy_n(row, width, padded.begin() + radius);
    std::fill_n(padded.end() - radius, radius, row[width - 1]);
    float* out = across.data() + y * width;
    for (size_t k = 0; k < kernel.size(); ++k) {
      for (int64_t x = 0; x < width; ++x) out[x] += kernel[k] * padded[x + k];
    }
  }
  std::vector<float> both(plane.size());
  for (int64_t y = 0; y < height; ++y) {
    float* out = both.data() + y * width;
    for (int64_t k = 0; k < std::ssize(kernel); ++k) {
      const int64_t from = std::clamp<int64_t>(y + k - radius, 0, height - 1);
      const float* row = across.data() + from * width;
      for (int64_t x = 0; x < width; ++x) out[x] += kernel[k] * row[x];
    }
  }
  return both;
}

// Components of pixels that were joined, each with its size and the difference that it bears.
class Components {
 public:
  Components(int64_t count, double scale)
      : scale_(static_cast<float>(scale)),
        parents_(count),
        sizes_(count, 1),
        bounds_(count, static_cast<float>(scale)) {
    std::iota(parents_.begin(), parents_.end(), 0);
  }

  int32_t find(int32_t pixel) {
    while (parents_[pixel] != pixel) {
      parents_[pixel] = parents_[parents_[pixel]];
      pixel = parents_[pixel];
    }
    return pixel;
  }
  int32_t size(int32_t root) const { return sizes_[root]; }

  // Section 3.1, eq. 3: whether a difference between two components is no border.
  bool bears(int32_t a, int32_t b, float weight) const {
    return weight <= bounds_[a] && weight <= bounds_[b];
  }

  void join(int32_t a, int32_t b, float weight) {
    if (sizes_[a] < sizes_[b]) std::swap(a, b);
    parents_[b] = a;
    sizes_[a] += sizes_[b];
    // Eq. 4: the largest difference inside is the last that joined; edges come in order.
    bounds_[a] = weight + scale_ / static_cast<float>(sizes_[a]);
  }

 private:
  float scale_;
  std::vector<int32_t> parents_;
  std::vector<int32_t> sizes_;
  std::vector<float> bounds_;
};

// By weight, which is not negative, so that its bits are in the same order; ties as they came.
template <class Edge>
void radix_sort(std::vector<Edge>& edges) {
  constexpr int kBits = 11;
  constexpr uint32_t kMask = (1U << kBits) - 1;
  std::vector<Edge> sorted(edges.size());
  for (int shift = 0; shift < 32; shift += kBits) {
    std::array<size_t, kMask + 1> starts{};
    const auto digit = [&](const Edge& edge) {
      return (std::bit_cast<uint32_t>(edge.weight) >> shift) & kMask;
    };
    for (const Edge& edge : edges) ++starts[digit(edge)];
    std::exclusive_scan(starts.begin(), starts.end(), starts.begin(), size_t{0});
    for (const Edge& edge : edges) sorted[starts[digit(edge)]++] = edge;
    edges.swap(sorted);
  }
}

}  // namespace

FloatPlanes gaussian_blur(const FloatPlanes& image, double deviation) {
  const std::vector<float> kernel = gaussian_kernel(deviation);
  FloatPlanes blurred{.width = image.width, .height = image.height};
  for (const std::vector<float>& plane : image.channels) {
    blurred.channels.push_back(blur(plane, image.width, image.height, kernel));
  }
  return blurred;
}

GraphSegmenter::GraphSegmenter(const FloatPlanes& image, double deviation)
    : pixels_(image.width * image.height) {
  const FloatPlanes smooth = gaussian_blur(image, deviation);
  const auto add = [&](int64_t from, int64_t to) {
    float squares = 0;
    for (const std::vector<float>& plane : smooth.channels) {
      squares += (plane[from] - plane[to]) * (plane[from] - plane[to]);
    }
    edges_.push_back({std::sqrt(squares), static_cast<int32_t>(from), static_cast<int32_t>(to)});
  };
  edges_.reserve(2 * pixels_);
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x) {
      const int64_t pixel = y * image.width + x;
      if (x + 1 < image.width) add(pixel, pixel + 1);
      if (y + 1 < image.height) add(pixel, pixel + image.width);
    }
  }
  radix_sort(edges_);
}

Segmentation GraphSegmenter::segment(double scale, int64_t min_size) const {
  Components components(pixels_, scale);
  for (const Edge& edge : edges_) {
    const int32_t a = components.find(edge.from);
    const int32_t b = components.find(edge.to);
    if (a != b && components.bears(a, b, edge.weight)) components.join(a, b, edge.weight);
  }
  for (const Edge& edge : edges_) {
    const int32_t a = components.find(edge.from);
    const int32_t b = components.find(edge.to);
    if (a != b && std::min(components.size(a), components.size(b)) < min_size) {
      components.join(a, b, edge.weight);
    }
  }
  Segmentation result{.labels = std::vector<int32_t>(pixels_)};
  std::vector<int32_t> names(pixels_, -1);  // of the components
  for (int32_t pixel = 0; pixel < pixels_; ++pixel) {
    int32_t& name = names[components.find(pixel)];
    if (name < 0) name = result.count++;
    result.labels[pixel] = name;
  }
  return result;
}

}  // namespace striate
