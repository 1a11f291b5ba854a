#include "kernels/dropout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/random_values.h"
#include "kernels/targets.h"

namespace striate {
namespace {

constexpr int64_t kCount = 100 * kernels::kDropoutBlock + 37;
constexpr int64_t kBlocks = 101;

std::vector<float> dropped(const std::vector<float>& x, double p, uint64_t seed) {
  std::vector<float> y(x.size(), -7);
  const kernels::Dropout step{
      .x = x.data(), .y = y.data(), .count = static_cast<int64_t>(x.size()), .p = p, .seed = seed};
  kernels::dropout(step, 0, 3);
  kernels::dropout(step, 3, kBlocks);
  return y;
}

double share_of_zeros(const std::vector<float>& values) {
  double zeros = 0;
  for (const float value : values) zeros += value == 0 ? 1 : 0;
  return zeros / static_cast<double>(values.size());
}

TEST(Dropout, DropsTheShareAndScalesTheRest) {
  const std::vector<float> ones(kCount, 1.0F);
  for (const double p : {0.0, 0.1, 0.5, 0.9}) {
    const std::vector<float> y = dropped(ones, p, 1);
    // Five standard deviations of a share of so many.
    EXPECT_NEAR(share_of_zeros(y), p, 5 * std::sqrt(p * (1 - p) / kCount));
    for (const float value : y) {
      if (value != 0) {
        ASSERT_FLOAT_EQ(value, static_cast<float>(1 / (1 - p)));
      }
    }
  }
  EXPECT_EQ(share_of_zeros(dropped(ones, 1, 1)), 1);
}

TEST(Dropout, IsTheSameOnEveryProcessor) {
  const std::vector<float> x = random_values(kCount, 1);
  const std::vector<float> here = dropped(x, 0.3, 5);
  for (const int64_t target : kernel_targets()) {
    const OnlyTarget only(target);
    EXPECT_EQ(dropped(x, 0.3, 5), here) << hwy::TargetName(target);
  }
}

TEST(Dropout, WhatFallsIsTheSeedsAlone) {
  const std::vector<float> a = random_values(kCount, 1);
  const std::vector<float> b = random_values(kCount, 2);
  const std::vector<float> of_a = dropped(a, 0.5, 3);
  const std::vector<float> of_b = dropped(b, 0.5, 3);
  for (size_t i = 0; i < a.size(); ++i) ASSERT_EQ(of_a[i] == 0, of_b[i] == 0) << i;
}

// How far the mean of a product of +1 and -1 may be from 0.
void expect_independent(const std::vector<float>& a, const std::vector<float>& b, size_t shift) {
  double sum = 0;
  const size_t count = a.size() - shift;
  for (size_t i = 0; i < count; ++i) sum += (a[i] - 1) * (b[i + shift] - 1);
  EXPECT_LT(std::abs(sum) / std::sqrt(static_cast<double>(count)), 5) << shift;
}

TEST(Dropout, SeedsAndNeighboursAreIndependent) {
  const std::vector<float> ones(kCount, 1.0F);
  const std::vector<float> y = dropped(ones, 0.5, 1);  // 0 or 2
  for (const uint64_t other : {2, 3, 1000}) expect_independent(y, dropped(ones, 0.5, other), 0);
  for (const size_t shift : {1, 2, 15, 16, 32, 256, 4096, 8192}) expect_independent(y, y, shift);
  EXPECT_EQ(dropped(ones, 0.5, 1), y);
}

}  // namespace
}  // namespace striate
