#include "striate/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace striate {
namespace {

TEST(Random, DependsOnEverySeed) {
  EXPECT_EQ(Random({1, 2, 3}).next(), Random({1, 2, 3}).next());
  EXPECT_NE(Random({1, 2, 3}).next(), Random({1, 2, 4}).next());
  EXPECT_NE(Random({1, 2, 3}).next(), Random({2, 1, 3}).next());
}

TEST(Random, UniformHasTheRightMeanAndVariance) {
  Random random({7});
  double sum = 0;
  double squares = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const double u = random.uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    squares += u * u;
  }
  // Five standard errors of the mean.
  EXPECT_NEAR(sum / kCount, 0.5, 5 * std::sqrt(1.0 / 12 / kCount));
  EXPECT_NEAR(squares / kCount, 1.0 / 3, 0.005);
}

TEST(Random, NormalHasUnitVariance) {
  Random random({7});
  double sum = 0;
  double squares = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kCount, 0, 0.016);
  EXPECT_NEAR(squares / kCount, 1, 0.025);
}

TEST(Random, PermutationHoldsEveryNumberOnce) {
  std::vector<int64_t> order = Random({3}).permutation(1000);
  EXPECT_FALSE(std::ranges::is_sorted(order));
  std::ranges::sort(order);
  for (int64_t i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(Random, BelowReachesEveryValueAndNoOther) {
  Random random({5});
  std::vector<int> seen(7);
  for (int i = 0; i < 7000; ++i) ++seen.at(static_cast<size_t>(random.below(7)));
  for (const int count : seen) EXPECT_NEAR(count, 1000, 150);
  EXPECT_THROW(random.below(0), std::invalid_argument);
}

}  // namespace
}  // namespace striate
