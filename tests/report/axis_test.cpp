#include "report/axis.h"

#include <gtest/gtest.h>

#include <limits>

namespace striate {
namespace {

using Numbers = std::vector<double>;
using Labels = std::vector<std::string>;

TEST(Axis, PutsTicksAtOneTwoOrFiveTimesAPowerOfTen) {
  EXPECT_EQ(make_axis({.data = {0, 10}, .most_ticks = 5}).ticks, (Numbers{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(make_axis({.data = {0, 70}, .most_ticks = 5}).ticks, (Numbers{0, 20, 40, 60}));
  EXPECT_EQ(make_axis({.data = {0, 0.4}, .most_ticks = 4}).labels,
            (Labels{"0", "0.1", "0.2", "0.3", "0.4"}));
  EXPECT_EQ(make_axis({.data = {1, 20}, .most_ticks = 6}).ticks, (Numbers{5, 10, 15, 20}));
}

TEST(Axis, FittedToTicksCoversTheData) {
  const Axis axis = make_axis({.data = {0.13, 2.31}, .most_ticks = 5, .fit = AxisFit::kToTicks});
  EXPECT_EQ(axis.range.low, 0);
  EXPECT_EQ(axis.range.high, 2.5);
  EXPECT_EQ(axis.ticks.back(), 2.5);
}

TEST(Axis, OfWholeNumbersHasNoTickBetweenThem) {
  const Axis axis = make_axis({.data = {1, 3}, .most_ticks = 10, .values = TickValues::kWhole});
  EXPECT_EQ(axis.labels, (Labels{"1", "2", "3"}));
}

TEST(Axis, SurroundsASingleValue) {
  for (double value : {0.0, 1e-320, -3.5, 7.0, 1e12, -1e299}) {
    const Axis axis = make_axis({.data = {value, value}, .fit = AxisFit::kToTicks});
    EXPECT_LT(axis.range.low, value);
    EXPECT_GT(axis.range.high, value);
    EXPECT_GE(axis.ticks.size(), 2u);
    EXPECT_LE(axis.ticks.size(), 12u);
  }
}

TEST(Axis, HasFewTicksOverAnyRange) {
  for (double size : {1e-290, 1e-9, 1.0, 3e7, 9e299}) {
    const Axis axis = make_axis({.data = {-size, size}, .fit = AxisFit::kToTicks});
    EXPECT_GE(axis.ticks.size(), 2u) << size;
    EXPECT_LE(axis.ticks.size(), 9u) << size;
    EXPECT_EQ(axis.ticks.size(), axis.labels.size());
  }
}

TEST(Axis, LabelsAreShortAndUseATrueMinusSign) {
  EXPECT_EQ(make_axis({.data = {-1, 1}, .most_ticks = 2}).labels, (Labels{"−1", "0", "1"}));
  EXPECT_EQ(make_axis({.data = {0, 2e6}, .most_ticks = 2}).labels, (Labels{"0", "1e6", "2e6"}));
  EXPECT_EQ(make_axis({.data = {0, 2e-6}, .most_ticks = 2}).labels, (Labels{"0", "1e-6", "2e-6"}));
}

TEST(Axis, DoesNotDrawWhatIsNotFinite) {
  EXPECT_FALSE(drawable(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_FALSE(drawable(-std::numeric_limits<double>::infinity()));
  EXPECT_FALSE(drawable(std::numeric_limits<double>::max()));
  EXPECT_TRUE(drawable(-1e299));
}

}  // namespace
}  // namespace striate
