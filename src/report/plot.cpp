#include "striate/report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "report/axis.h"
#include "report/html.h"
#include "report/plot_markup.h"

namespace striate {
namespace {

constexpr int kColors = 6;
constexpr int kSmallest = 160, kLargest = 10000;
// The mean width of a character of 12 px sans-serif text, a little generous.
constexpr double kCharacterWidth = 6.6;
constexpr double kLegendRow = 18, kLegendLine = 26, kLegendGap = 18;
constexpr int64_t kLegendName = 40;
// Curves with more points than this have no read-outs under the pointer.
constexpr size_t kMostReadouts = 300;

// Contrast of at least 4.5 to 1 on the page; blue and orange first, for those who don't see red.
constexpr const char* kStyle = R"(
.plot{--plot-paper:#fff;--plot-ink:#1b1d21;--plot-soft:#5c6370;--plot-grid:#e3e6ea;
--c0:#1f5fa8;--c1:#b8500f;--c2:#2b7a3f;--c3:#7a4fa3;--c4:#a8325e;--c5:#5f6670}
@media (prefers-color-scheme:dark){.plot{--plot-paper:#14161a;--plot-ink:#e4e6ea;
--plot-soft:#9aa1ad;--plot-grid:#2a2e35;
--c0:#7fb2ee;--c1:#f0a068;--c2:#7fc98f;--c3:#c3a1e6;--c4:#ee8fb0;--c5:#aab1bc}}
.plot text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
fill:var(--plot-soft);font-variant-numeric:tabular-nums}
.plot .title{font-size:14px;font-weight:600;fill:var(--plot-ink)}
.plot .name{fill:var(--plot-ink)}
.plot .paper{fill:var(--plot-paper)}
.plot .grid{stroke:var(--plot-grid);stroke-width:1;fill:none}
.plot .axis{stroke:var(--plot-soft);stroke-width:1;fill:none}
.plot .line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
.plot .dashed{stroke-dasharray:6 4;stroke-linecap:butt}
.plot .readout{fill:transparent;stroke:none}
.plot .readout:hover{fill:var(--plot-ink)}
.plot .c0{stroke:var(--c0)}.plot .c1{stroke:var(--c1)}.plot .c2{stroke:var(--c2)}
.plot .c3{stroke:var(--c3)}.plot .c4{stroke:var(--c4)}.plot .c5{stroke:var(--c5)}
.plot .d0{fill:var(--c0)}.plot .d1{fill:var(--c1)}.plot .d2{fill:var(--c2)}
.plot .d3{fill:var(--c3)}.plot .d4{fill:var(--c4)}.plot .d5{fill:var(--c5)}
)";

struct Point {
  double x = 0;
  double y = 0;
};

struct Area {
  double left = 0, top = 0, right = 0, bottom = 0;
};

struct LegendEntry {
  const Curve* curve = nullptr;
  double x = 0;
  int row = 0;
};

struct Legend {
  std::vector<LegendEntry> entries;
  int rows = 0;
};

// What a plot becomes on its way to SVG.
struct Layout {
  const Plot& plot;
  PlotSize size;
  Legend legend;
  Axis x, y;
  Area area;

  Point at(double x_value, double y_value) const {
    const double width = area.right - area.left, height = area.bottom - area.top;
    const double u = (x_value - x.range.low) / (x.range.high - x.range.low);
    const double v = (y_value - y.range.low) / (y.range.high - y.range.low);
    // A point far outside y_range is cut off anyway; keep its coordinate printable.
    return {area.left + u * width, area.bottom - std::clamp(v, -9.0, 10.0) * height};
  }
};

int color_of(const Curve& curve) {
  return ((curve.color % kColors) + kColors) % kColors;
}

bool drawable_at(const Curve& curve, size_t i) {
  return drawable(curve.x[i]) && drawable(curve.y[i]);
}

bool has_points(const Curve& curve) {
  for (size_t i = 0; i < curve.x.size(); ++i) {
    if (drawable_at(curve, i)) return true;
  }
  return false;
}

void check(const Plot& plot, PlotSize size) {
  if (std::min(size.width, size.height) < kSmallest || std::max(size.width, size.height) > kLargest)
    throw std::invalid_argument(fmt::format("a plot's size must lie in {} ... {}, got {}x{}",
                                            kSmallest, kLargest, size.width, size.height));
  for (const Curve& curve : plot.curves) {
    if (curve.x.size() != curve.y.size())
      throw std::invalid_argument(fmt::format("curve \"{}\" has {} x and {} y values", curve.name,
                                              curve.x.size(), curve.y.size()));
  }
  const Range y = plot.y_range.value_or(Range{});
  if (!drawable(y.low) || !drawable(y.high) || y.low > y.high || degenerate(y))
    throw std::invalid_argument(fmt::format("y_range is empty: {} ... {}", y.low, y.high));
}

Legend place_legend(const Plot& plot, PlotSize size) {
  const double right = size.width - 12;
  const int most_rows = std::max(1, static_cast<int>(size.height / 4 / kLegendRow));
  Legend legend;
  double x = 14;
  for (const Curve& curve : plot.curves) {
    if (curve.name.empty() || !has_points(curve)) continue;
    const int64_t characters = std::min(character_count(curve.name), kLegendName + 1);
    const double width = kLegendLine + kCharacterWidth * static_cast<double>(characters);
    const bool wraps = legend.rows > 0 && x + width > right;
    if (wraps) x = 14;
    if (wraps || legend.rows == 0) ++legend.rows;
    if (legend.rows > most_rows) break;
    legend.entries.push_back({&curve, x, legend.rows - 1});
    x += width + kLegendGap;
  }
  legend.rows = std::min(legend.rows, most_rows);
  return legend;
}

// Both ranges of all points that can be drawn, or 0 ... 1 where there are none.
std::pair<Range, Range> data_ranges(const Plot& plot, TickValues* x_values) {
  const double infinity = std::numeric_limits<double>::infinity();
  Range x{infinity, -infinity}, y{infinity, -infinity};
  *x_values = TickValues::kWhole;
  for (const Curve& curve : plot.curves) {
    for (size_t i = 0; i < curve.x.size(); ++i) {
      if (!drawable_at(curve, i)) continue;
      x = {std::min(x.low, curve.x[i]), std::max(x.high, curve.x[i])};
      y = {std::min(y.low, curve.y[i]), std::max(y.high, curve.y[i])};
      if (curve.x[i] != std::floor(curve.x[i])) *x_values = TickValues::kAny;
    }
  }
  if (x.low > x.high) return {Range{}, Range{}};
  return {x, y};
}

Layout lay_out(const Plot& plot, PlotSize size) {
  Layout layout{.plot = plot, .size = size, .legend = place_legend(plot, size)};
  layout.area.top = (plot.title.empty() ? 12 : 34) + kLegendRow * layout.legend.rows +
                    (layout.legend.rows > 0 ? 12 : 0);
  layout.area.bottom = size.height - (plot.x_label.empty() ? 28 : 46);
  layout.area.right = size.width - 16;

  TickValues x_values = TickValues::kAny;
  const auto [x, y] = data_ranges(plot, &x_values);
  const double height = layout.area.bottom - layout.area.top;
  layout.y = make_axis({.data = plot.y_range.value_or(y),
                        .most_ticks = std::clamp(static_cast<int>(height / 44), 2, 10),
                        .fit = plot.y_range ? AxisFit::kToData : AxisFit::kToTicks});
  int64_t characters = 0;
  for (const std::string& label : layout.y.labels)
    characters = std::max(characters, character_count(label));
  layout.area.left =
      (plot.y_label.empty() ? 14 : 34) + kCharacterWidth * static_cast<double>(characters) + 8;
  const double width = layout.area.right - layout.area.left;
  layout.x = make_axis({.data = x,
                        .most_ticks = std::clamp(static_cast<int>(width / 60), 2, 12),
                        .values = x_values});
  return layout;
}

void draw_axes(const Layout& layout, std::string& out) {
  const Area& area = layout.area;
  for (size_t i = 0; i < layout.y.ticks.size(); ++i) {
    const double y = layout.at(layout.x.range.low, layout.y.ticks[i]).y;
    append(out, R"(<path class="grid" d="M{:.2f} {:.2f}H{:.2f}"/>)", area.left, y, area.right);
    append(out, R"(<text x="{:.2f}" y="{:.2f}" text-anchor="end">{}</text>)", area.left - 8, y + 4,
           layout.y.labels[i]);
  }
  for (size_t i = 0; i < layout.x.ticks.size(); ++i) {
    const double x = layout.at(layout.x.ticks[i], layout.y.range.low).x;
    append(out, R"(<path class="axis" d="M{:.2f} {:.2f}v4"/>)", x, area.bottom);
    append(out, R"(<text x="{:.2f}" y="{:.2f}" text-anchor="middle">{}</text>)", x,
           area.bottom + 17, layout.x.labels[i]);
  }
  append(out, R"(<path class="axis" d="M{:.2f} {:.2f}H{:.2f}"/>)", area.left, area.bottom,
         area.right);
}

void draw_texts(const Layout& layout, std::string& out) {
  const Area& area = layout.area;
  const Plot& plot = layout.plot;
  const double middle_x = (area.left + area.right) / 2, middle_y = (area.top + area.bottom) / 2;
  if (!plot.title.empty())
    append(out, R"(<text class="title" x="14" y="21">{}</text>)", escape_name(plot.title, 200));
  if (!plot.x_label.empty())
    append(out, R"(<text x="{:.2f}" y="{}" text-anchor="middle">{}</text>)", middle_x,
           layout.size.height - 9, escape_name(plot.x_label));
  if (!plot.y_label.empty())
    append(
        out,
        R"svg(<text transform="translate(18 {:.2f}) rotate(-90)" text-anchor="middle">{}</text>)svg",
        middle_y, escape_name(plot.y_label));
  if (std::none_of(plot.curves.begin(), plot.curves.end(), has_points))
    append(out, R"(<text x="{:.2f}" y="{:.2f}" text-anchor="middle">no data</text>)", middle_x,
           middle_y);
  const double top = plot.title.empty() ? 6 : 30;
  for (const LegendEntry& entry : layout.legend.entries) {
    const double y = top + kLegendRow * entry.row + kLegendRow / 2;
    const char* dashed = entry.curve->style == LineStyle::kDashed ? " dashed" : "";
    append(out, R"(<path class="line c{}{}" d="M{:.2f} {:.2f}h20"/>)", color_of(*entry.curve),
           dashed, entry.x, y);
    append(out, R"(<text class="name" x="{:.2f}" y="{:.2f}">{}</text>)", entry.x + kLegendLine,
           y + 4, escape_name(entry.curve->name, kLegendName));
  }
}

// A line for each run of points without a gap, a dot where a run is one point.
void draw_curve(const Layout& layout, const Curve& curve, std::string& out) {
  const size_t count = curve.x.size();
  std::string line, dots;
  for (size_t begin = 0, end = 0; begin < count; begin = end + 1) {
    for (end = begin; end < count && drawable_at(curve, end);) ++end;
    for (size_t i = begin; i < end; ++i) {
      const Point p = layout.at(curve.x[i], curve.y[i]);
      if (end - begin == 1) {
        append(dots, R"(<circle class="d{}" cx="{:.2f}" cy="{:.2f}" r="3"/>)", color_of(curve), p.x,
               p.y);
      } else {
        append(line, "{}{:.2f} {:.2f}", i == begin ? "M" : "L", p.x, p.y);
      }
    }
  }
  if (!line.empty())
    append(out, R"(<path class="line c{}{}" d="{}"/>)", color_of(curve),
           curve.style == LineStyle::kDashed ? " dashed" : "", line);
  out += dots;
}

// Invisible dots that show a point's values under the pointer.
void draw_readouts(const Layout& layout, const Curve& curve, std::string& out) {
  if (curve.x.size() > kMostReadouts) return;
  for (size_t i = 0; i < curve.x.size(); ++i) {
    if (!drawable_at(curve, i)) continue;
    const Point p = layout.at(curve.x[i], curve.y[i]);
    append(out,
           R"(<circle class="readout" cx="{:.2f}" cy="{:.2f}" r="4"><title>{}</title></circle>)",
           p.x, p.y,
           fmt::format("{}{}{} {}: {}", escape_name(curve.name), curve.name.empty() ? "" : ", ",
                       escape_name(layout.plot.x_label), number_text(curve.x[i], 6),
                       number_text(curve.y[i], 4)));
  }
}

// For readers who hear the page: the title and where each curve ends.
std::string spoken(const Plot& plot) {
  std::string text = "Plot: " + escape_name(plot.title, 200);
  for (const Curve& curve : plot.curves) {
    for (size_t i = curve.x.size(); i-- > 0;) {
      if (!drawable_at(curve, i)) continue;
      append(text, "; {} ends at {}", escape_name(curve.name), number_text(curve.y[i], 4));
      break;
    }
  }
  return text;
}

std::string draw(const Plot& plot, PlotSize size) {
  const Layout layout = lay_out(plot, size);
  const Area& area = layout.area;
  std::string out;
  draw_axes(layout, out);
  // A nested drawing cuts the lines off without an id, which would have to be unique in a page.
  const double margin = 4;
  const double left = area.left - margin, top = area.top - margin;
  const double width = area.right - left + margin, height = area.bottom - top + margin;
  append(out,
         R"(<svg class="area" x="{0:.2f}" y="{1:.2f}" width="{2:.2f}" height="{3:.2f}" )"
         R"(viewBox="{0:.2f} {1:.2f} {2:.2f} {3:.2f}">)",
         left, top, width, height);
  for (const Curve& curve : plot.curves) draw_curve(layout, curve, out);
  for (const Curve& curve : plot.curves) draw_readouts(layout, curve, out);
  out += "</svg>";
  draw_texts(layout, out);
  return out;
}

std::string open_tag(const Plot& plot, PlotSize size) {
  return fmt::format(R"( class="plot" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img" )"
                     R"(aria-label="{2}">)",
                     size.width, size.height, spoken(plot));
}

}  // namespace

std::string plot_style() {
  return kStyle;
}

std::string plot_markup(const Plot& plot, PlotSize size) {
  check(plot, size);
  return "<svg" + open_tag(plot, size) + draw(plot, size) + "</svg>\n";
}

std::string plot_svg(const Plot& plot, PlotSize size) {
  check(plot, size);
  return "<svg xmlns=\"http://www.w3.org/2000/svg\"" + open_tag(plot, size) + "<style>" + kStyle +
         "</style><rect class=\"paper\" width=\"100%\" height=\"100%\"/>" + draw(plot, size) +
         "</svg>\n";
}

}  // namespace striate
