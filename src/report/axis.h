#pragma once

#include <string>
#include <vector>

#include "striate/report/plot.h"

namespace striate {

enum class AxisFit { kToData, kToTicks };
enum class TickValues { kAny, kWhole };

struct AxisOptions {
  Range data;  // finite, low <= high
  int most_ticks = 6;
  AxisFit fit = AxisFit::kToData;
  TickValues values = TickValues::kAny;
};

struct Axis {
  Range range;  // low < high
  std::vector<double> ticks;
  std::vector<std::string> labels;  // one per tick
};

/// An axis with ticks at 1, 2 or 5 times a power of ten. Data of (nearly) one value gets a range
/// around it.
Axis make_axis(const AxisOptions& options);

/// Whether a number can be drawn: finite, and far enough from overflow for differences and sums.
bool drawable(double number);

/// Whether a range is too narrow for distinct ticks in double precision.
bool degenerate(Range range);

}  // namespace striate
