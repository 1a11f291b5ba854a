#include "report/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace striate {
namespace {

constexpr double kLargest = 1e300;
// Ticks a tenth of such a range apart still differ in double precision.
constexpr double kNarrowest = 1e-9;
// Lets a tick stand on the end of a range in spite of rounding.
constexpr double kTickSlack = 1e-6;

double magnitude(Range range) {
  return std::max(std::abs(range.low), std::abs(range.high));
}

double round_step(double span, int most_ticks) {
  const double raw = span / most_ticks;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw * (1 - kTickSlack)) return factor * power;
  }
  return 10 * power;
}

Range widen(Range range, TickValues values) {
  const double middle = range.low + (range.high - range.low) / 2;
  double margin = std::abs(middle) / 10;
  if (values == TickValues::kWhole || magnitude(range) < 1 / kLargest)
    margin = std::max(margin, 1.0);
  return {middle - margin, middle + margin};
}

int64_t exponent_of(double number) {
  return std::llround(std::floor(std::log10(number) + 1e-9));
}

std::string tick_label(double tick, double step, double largest) {
  const int64_t step_exponent = exponent_of(step);
  std::string text;
  if (tick == 0) {
    text = "0";
  } else if (largest >= 1e6 || step_exponent < -4) {
    const int64_t digits = std::clamp<int64_t>(exponent_of(std::abs(tick)) - step_exponent, 0, 12);
    text = fmt::format("{:.{}e}", tick, digits);
    // 2e+06 reads as 2e6.
    const size_t e = text.find('e');
    const int exponent = std::stoi(text.substr(e + 1));
    text = text.substr(0, e) + fmt::format("e{}", exponent);
  } else {
    text = fmt::format("{:.{}f}", tick, std::max<int64_t>(0, -step_exponent));
  }
  // A true minus sign is as wide as a digit.
  return text[0] == '-' ? "\xE2\x88\x92" + text.substr(1) : text;
}

}  // namespace

bool drawable(double number) {
  return std::isfinite(number) && std::abs(number) < kLargest;
}

bool degenerate(Range range) {
  const double largest = magnitude(range);
  return !(range.high - range.low > largest * kNarrowest) || largest < 1 / kLargest;
}

Axis make_axis(const AxisOptions& options) {
  const Range data = degenerate(options.data) ? widen(options.data, options.values) : options.data;
  double step = round_step(data.high - data.low, options.most_ticks);
  if (options.values == TickValues::kWhole) step = std::max(step, 1.0);

  double first = std::ceil(data.low / step - kTickSlack);
  double last = std::floor(data.high / step + kTickSlack);
  Axis axis{.range = data};
  if (options.fit == AxisFit::kToTicks) {
    first = std::floor(data.low / step + kTickSlack);
    last = std::max(first + 1, std::ceil(data.high / step - kTickSlack));
    axis.range = {first * step, last * step};
  }
  for (double k = first; k <= last; ++k) {
    axis.ticks.push_back(k * step);
    axis.labels.push_back(tick_label(k * step, step, magnitude(data)));
  }
  return axis;
}

}  // namespace striate
