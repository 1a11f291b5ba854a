// Generalized Intersection over Union: A Metric and A Loss for Bounding Box Regression.
// Rezatofighi, Tsoi, Gwak, Sadeghian, Reid, Savarese, 2019. https://arxiv.org/abs/1902.09630

#include "striate/detection/box.h"

#include <algorithm>

namespace striate {
namespace {

double shared_area(const Box& a, const Box& b) {
  const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  return std::max(width, 0.0) * std::max(height, 0.0);
}

}  // namespace

double intersection_over_union(const Box& a, const Box& b) {
  const double shared = shared_area(a, b);
  const double covered = a.area() + b.area() - shared;
  return covered > 0 ? shared / covered : 0;
}

double generalized_intersection_over_union(const Box& a, const Box& b) {
  const double covered = a.area() + b.area() - shared_area(a, b);
  const Box around{std::min(a.x1, b.x1), std::min(a.y1, b.y1), std::max(a.x2, b.x2),
                   std::max(a.y2, b.y2)};
  if (around.area() <= 0) return 0;
  return intersection_over_union(a, b) - (around.area() - covered) / around.area();
}

}  // namespace striate
