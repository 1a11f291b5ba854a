// Polygons to masks, as the tools of COCO draw them (section 1 of https://arxiv.org/abs/1405.0312
// and cocodataset/cocoapi): corners are rounded to a fifth of a pixel; the outline's lattice points
// that pass the middle of a column of pixels are where that column changes.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <stdexcept>

#include "detection/mask_runs.h"
#include "striate/detection/mask.h"

namespace striate {
namespace {

constexpr int kScale = 5;   // lattice points in a pixel's width
constexpr int kMiddle = 2;  // of them, the one in the middle
constexpr double kLimit = 1 << 20;

struct Point {
  int x = 0;
  int y = 0;
};

void check(const std::vector<Polygon>& polygons) {
  if (polygons.empty()) throw std::invalid_argument("no polygon");
  for (const Polygon& polygon : polygons) {
    if (polygon.size() % 2 != 0 || polygon.size() < 6) {
      throw std::invalid_argument("a polygon needs x and y of three corners or more");
    }
    const auto fits = [](double value) { return std::abs(value) <= kLimit; };
    if (!std::ranges::all_of(polygon, fits)) {
      throw std::invalid_argument("a polygon has a corner that is no place in an image");
    }
  }
}

// Towards zero after adding a half, which is COCO's rounding.
int round_half(double value) {
  return static_cast<int>(value + 0.5);
}

// Gathers where the outline passes the middles of columns, as positions in COCO's order.
class Crossings {
 public:
  explicit Crossings(const ImageSize& size) : width_(size.width), height_(size.height) {}

  void add_edge(Point from, Point to) {
    const int across = std::abs(to.x - from.x);
    const int down = std::abs(to.y - from.y);
    if (across == 0) return;
    const bool flat = across >= down;
    if (flat ? from.x > to.x : from.y > to.y) std::swap(from, to);
    if (flat) {
      add_flat(from, across, static_cast<double>(to.y - from.y) / across);
    } else {
      add_steep(from, down, static_cast<double>(to.x - from.x) / down);
    }
  }

  std::vector<uint32_t> finish() {
    std::ranges::sort(positions_);
    RunAppender runs;
    uint32_t start = 0;
    bool one = false;
    for (const uint32_t position : positions_) {
      runs.append(one, position - start);
      start = position;
      one = !one;
    }
    runs.append(one, static_cast<uint32_t>(width_ * height_) - start);
    return runs.finish();
  }

 private:
  void add_flat(Point from, int across, double slope) {
    const auto height_at = [&](int step) { return round_half(from.y + slope * step); };
    // The first step whose column of lattice points is a middle.
    int step = ((kMiddle - from.x) % kScale + kScale) % kScale;
    for (; step < across; step += kScale) {
      add(from.x + step, std::min(height_at(step), height_at(step + 1)));
    }
  }

  void add_steep(Point from, int down, double slope) {
    int before = round_half(from.x + 0.0);
    for (int step = 1; step <= down; ++step) {
      const int after = round_half(from.x + slope * step);
      if (after != before) add(std::min(before, after), from.y + step - 1);
      before = after;
    }
  }

  // The point left of a change of column, and the upper one of the two points' heights.
  void add(int x, int y) {
    if (x < 0 || x % kScale != kMiddle || x / kScale >= width_) return;
    const double row = std::ceil(static_cast<double>(y - kMiddle) / kScale);
    const int64_t inside = std::clamp<int64_t>(static_cast<int64_t>(row), 0, height_);
    positions_.push_back(static_cast<uint32_t>(x / kScale * height_ + inside));
  }

  int64_t width_;
  int64_t height_;
  std::vector<uint32_t> positions_;
};

RunLengthMask mask_of(const Polygon& polygon, const ImageSize& size) {
  const auto corner = [&](size_t i) {
    return Point{round_half(kScale * polygon[2 * i]), round_half(kScale * polygon[2 * i + 1])};
  };
  const size_t corners = polygon.size() / 2;
  Crossings crossings(size);
  for (size_t i = 0; i < corners; ++i) {
    crossings.add_edge(corner(i), corner((i + 1) % corners));
  }
  return {.height = size.height, .width = size.width, .counts = crossings.finish()};
}

}  // namespace

RunLengthMask polygon_mask(const std::vector<Polygon>& polygons, const ImageSize& size) {
  check(polygons);
  std::vector<RunLengthMask> masks;
  for (const Polygon& polygon : polygons) masks.push_back(mask_of(polygon, size));
  return merge_masks(masks);
}

}  // namespace striate
