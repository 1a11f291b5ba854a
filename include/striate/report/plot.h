#pragma once

#include <optional>
#include <string>
#include <vector>

namespace striate {

enum class LineStyle { kSolid, kDashed };

/// One line of a plot. A point whose x or y is not finite is a gap in the line.
struct Curve {
  std::string name;
  std::vector<double> x;
  std::vector<double> y;  // as long as x
  int color = 0;          // an index into a palette of six, which repeats
  LineStyle style = LineStyle::kSolid;
};

struct Range {
  double low = 0;
  double high = 1;
};

struct Plot {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Curve> curves;
  std::optional<Range> y_range;  // without it, what the curves need, to the next round number
};

/// In CSS pixels.
struct PlotSize {
  int width = 520;
  int height = 340;
};

/// A line plot as one SVG document that needs no other file. It follows the reader's light or dark
/// preference and stands on its own page colour. Meant for thousands of points, not millions.
/// @throws std::invalid_argument  x and y of a curve differ in length, y_range is empty, or the
///                                size is not in 160 ... 10000.
std::string plot_svg(const Plot& plot, PlotSize size = {});

}  // namespace striate
