#pragma once

namespace striate {

/// A rectangle in pixels, from its upper left corner (x1, y1) to its lower right corner (x2, y2).
/// Corners lie between pixels: the box of the first pixel is (0, 0, 1, 1).
struct Box {
  double x1 = 0;
  double y1 = 0;
  double x2 = 0;
  double y2 = 0;

  double width() const { return x2 - x1; }
  double height() const { return y2 - y1; }
  double area() const { return width() * height(); }
  bool operator==(const Box&) const = default;
};

/// The area that two boxes share over the area that they cover together, in [0, 1]; 0 when they
/// cover nothing. (everingham2010, 4.2)
double intersection_over_union(const Box& a, const Box& b);

/// That, less the share of the smallest box around both that neither covers, in [-1, 1]; 0 when
/// that box is empty. (rezatofighi2019, algorithm 1)
double generalized_intersection_over_union(const Box& a, const Box& b);

}  // namespace striate
