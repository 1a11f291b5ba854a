#include "striate/report/plot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <regex>
#include <stdexcept>

namespace striate {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();

struct Box {
  double left = 0, top = 0, width = 0, height = 0;
};

int64_t count(const std::string& text, const std::string& part) {
  int64_t found = 0;
  for (size_t i = text.find(part); i != std::string::npos; i = text.find(part, i + 1)) ++found;
  return found;
}

// The rectangle between the axes: the nested drawing without its margin of 4 pixels.
Box area_of(const std::string& svg) {
  std::smatch match;
  const std::regex area(
      R"re(class="area" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)")re");
  if (!std::regex_search(svg, match, area)) throw std::runtime_error("no area");
  return {std::stod(match[1]) + 4, std::stod(match[2]) + 4, std::stod(match[3]) - 8,
          std::stod(match[4]) - 8};
}

// Every number of the first curve's path.
std::vector<double> path_of(const std::string& svg) {
  const std::string curves = svg.substr(svg.find("class=\"area\""));
  std::smatch match;
  if (!std::regex_search(curves, match, std::regex(R"re(class="line[^"]*" d="([^"]*)")re")))
    return {};
  const std::string path = match[1];
  const std::regex number(R"(-?[\d.]+)");
  std::vector<double> numbers;
  for (std::sregex_iterator i(path.begin(), path.end(), number), end; i != end; ++i)
    numbers.push_back(std::stod(i->str()));
  return numbers;
}

TEST(Plot, PutsPointsWhereTheAxesSay) {
  const Plot plot{.title = "Loss",
                  .x_label = "epoch",
                  .y_label = "loss",
                  .curves = {{.name = "training", .x = {1, 3, 5}, .y = {4, 3, 1}}},
                  .y_range = Range{0, 4}};
  const std::string svg = plot_svg(plot, {.width = 400, .height = 300});
  const Box area = area_of(svg);
  EXPECT_DOUBLE_EQ(area.left + area.width, 400 - 16);
  EXPECT_DOUBLE_EQ(area.top + area.height, 300 - 46);
  const std::vector<double> path = path_of(svg);
  const std::vector<double> expected = {area.left,
                                        area.top,
                                        area.left + area.width / 2,
                                        area.top + area.height / 4,
                                        384,
                                        area.top + area.height * 3 / 4};
  ASSERT_EQ(path.size(), expected.size());
  // Coordinates are written with two decimals.
  for (size_t i = 0; i < path.size(); ++i) EXPECT_NEAR(path[i], expected[i], 0.0101) << i;
}

TEST(Plot, LeavesAGapAtAValueThatIsNotFinite) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Plot plot{.curves = {{.x = {1, 2, 3, 4, 5, 6, 7}, .y = {1, 2, kNan, 5, infinity, 3, 4}}}};
  const std::string svg = plot_svg(plot);
  EXPECT_EQ(path_of(svg).size(), 8u);   // two lines of two points
  EXPECT_EQ(count(svg, "r=\"3\""), 1);  // and a dot between two gaps
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

TEST(Plot, SaysSoWhenThereIsNothingToDraw) {
  EXPECT_EQ(count(plot_svg({}), ">no data</text>"), 1);
  EXPECT_EQ(count(plot_svg({.curves = {{.name = "a"}}}), ">no data</text>"), 1);
  EXPECT_EQ(count(plot_svg({.curves = {{.x = {1, kNan}, .y = {kNan, 1}}}}), ">no data</text>"), 1);
  EXPECT_EQ(count(plot_svg({.curves = {{.x = {1}, .y = {1}}}}), ">no data</text>"), 0);
}

TEST(Plot, DrawsAConstantInTheMiddle) {
  const std::string svg = plot_svg({.curves = {{.x = {1, 2}, .y = {3, 3}}}});
  const Box area = area_of(svg);
  const std::vector<double> path = path_of(svg);
  ASSERT_EQ(path.size(), 4u);
  EXPECT_EQ(path[1], path[3]);
  EXPECT_NEAR(path[1], area.top + area.height / 2, area.height / 4);
}

TEST(Plot, ShowsOneDotForOnePoint) {
  const std::string svg = plot_svg({.curves = {{.x = {1}, .y = {0.5}}}});
  EXPECT_TRUE(path_of(svg).empty());
  EXPECT_EQ(count(svg, "r=\"3\""), 1);
}

TEST(Plot, SurvivesExtremeNumbers) {
  const double largest = std::numeric_limits<double>::max();
  const double smallest = std::numeric_limits<double>::denorm_min();
  const std::vector<double> x = {-largest, -1e299, 0, smallest, 1e299, largest};
  const std::string svg = plot_svg({.curves = {{.x = x, .y = x, .color = -7}}});
  EXPECT_EQ(path_of(svg).size(), 8u);
  EXPECT_LT(svg.size(), 20000u);
  const std::string cut =
      plot_svg({.curves = {{.x = {0, 1}, .y = {0, 1e299}}}, .y_range = Range{0, 1}});
  EXPECT_LT(cut.size(), 20000u);
}

TEST(Plot, TellsCurvesApartInTheLegend) {
  const Plot plot{
      .curves = {
          {.name = "training", .x = {1, 2}, .y = {1, 2}},
          {.name = "validation", .x = {1, 2}, .y = {2, 3}, .color = 1, .style = LineStyle::kDashed},
          {.name = "unmeasured", .x = {1}, .y = {kNan}}}};
  const std::string svg = plot_svg(plot);
  EXPECT_EQ(count(svg, ">training</text>"), 1);
  EXPECT_EQ(count(svg, ">validation</text>"), 1);
  EXPECT_EQ(count(svg, ">unmeasured</text>"), 0);
  EXPECT_EQ(count(svg, "class=\"line c1 dashed\""), 2);  // in the legend and in the plot
}

TEST(Plot, EscapesItsTexts) {
  const std::string bad = "</text><script>\"'&";
  const std::string svg = plot_svg({.title = bad,
                                    .x_label = bad,
                                    .y_label = bad,
                                    .curves = {{.name = bad, .x = {1, 2}, .y = {1, 2}}}});
  EXPECT_EQ(count(svg, "<script>"), 0);
  EXPECT_EQ(count(svg, "<svg"), count(svg, "</svg>"));
  EXPECT_EQ(count(svg, "<text"), count(svg, "</text>"));
}

TEST(Plot, RefersToNothingOutsideItself) {
  const std::string svg = plot_svg({.curves = {{.name = "a", .x = {1, 2}, .y = {1, 2}}}});
  EXPECT_EQ(count(svg, "http"), 1);  // the name of SVG itself, which nobody fetches
  EXPECT_EQ(count(svg, "url("), 0);
  EXPECT_EQ(count(svg, "href"), 0);
}

TEST(Plot, RefusesWhatCannotBeDrawn) {
  EXPECT_THROW(plot_svg({.curves = {{.x = {1, 2}, .y = {1}}}}), std::invalid_argument);
  EXPECT_THROW(plot_svg({.y_range = Range{1, 1}}), std::invalid_argument);
  EXPECT_THROW(plot_svg({.y_range = Range{2, 1}}), std::invalid_argument);
  EXPECT_THROW(plot_svg({.y_range = Range{0, kNan}}), std::invalid_argument);
  EXPECT_THROW(plot_svg({}, {.width = 0, .height = 300}), std::invalid_argument);
  EXPECT_THROW(plot_svg({}, {.width = 300, .height = 1 << 30}), std::invalid_argument);
}

}  // namespace
}  // namespace striate
