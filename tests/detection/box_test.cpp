#include "striate/detection/box.h"

#include <gtest/gtest.h>

namespace striate {
namespace {

TEST(Box, SharesWhatLiesInBoth) {
  const Box a{0, 0, 2, 2};
  EXPECT_DOUBLE_EQ(intersection_over_union(a, a), 1);
  EXPECT_DOUBLE_EQ(intersection_over_union(a, {1, 1, 3, 3}), 1.0 / 7);
  EXPECT_DOUBLE_EQ(intersection_over_union(a, {2, 0, 4, 2}), 0);
  EXPECT_DOUBLE_EQ(intersection_over_union(a, {5, 5, 6, 6}), 0);
}

TEST(Box, EmptyBoxesShareNothing) {
  const Box empty{1, 1, 1, 1};
  EXPECT_EQ(intersection_over_union(empty, empty), 0);
  EXPECT_EQ(generalized_intersection_over_union(empty, empty), 0);
}

TEST(Box, GeneralizedTellsHowFarApartBoxesAre) {
  const Box a{0, 0, 1, 1};
  EXPECT_DOUBLE_EQ(generalized_intersection_over_union(a, a), 1);
  EXPECT_DOUBLE_EQ(generalized_intersection_over_union(a, {2, 0, 3, 1}), -1.0 / 3);
  EXPECT_LT(generalized_intersection_over_union(a, {9, 0, 10, 1}), -0.79);
}

}  // namespace
}  // namespace striate
