#include "kernels/map_forces.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/random_values.h"
#include "kernels/targets.h"

namespace striate {
namespace {

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

class MapForcesTest : public testing::TestWithParam<int64_t> {};

TEST_P(MapForcesTest, RepulsionEqualsTheDefinition) {
  const OnlyTarget only(GetParam());
  for (const int64_t bodies : {1, 5, 16, 67}) {
    for (const int64_t points : {1, 7, 16, 33}) {
      const auto x = random_values(bodies, 1, 3);
      const auto y = random_values(bodies, 2, 3);
      auto mass = random_values(bodies, 3, 3);
      for (float& m : mass) m = std::abs(m);
      const auto to_x = random_values(points, 4, 3);
      const auto to_y = random_values(points, 5, 3);
      std::vector<std::vector<float>> sums(3, std::vector<float>(at(points) + 1, -7.0F));
      kernels::repel(
          {x.data(), y.data(), mass.data(), bodies},
          {to_x.data(), to_y.data(), points, sums[0].data(), sums[1].data(), sums[2].data()});
      for (int64_t i = 0; i < points; ++i) {
        double weight = 0;
        double force_x = 0;
        double force_y = 0;
        double scale = 0;
        for (int64_t j = 0; j < bodies; ++j) {
          const double dx = double{to_x[at(i)]} - x[at(j)];
          const double dy = double{to_y[at(i)]} - y[at(j)];
          const double w = 1 / (1 + dx * dx + dy * dy);
          weight += mass[at(j)] * w;
          force_x += mass[at(j)] * w * w * dx;
          force_y += mass[at(j)] * w * w * dy;
          scale += mass[at(j)] * w;
        }
        EXPECT_NEAR(sums[0][at(i)], weight, 1e-6 * scale);
        EXPECT_NEAR(sums[1][at(i)], force_x, 1e-6 * scale);
        EXPECT_NEAR(sums[2][at(i)], force_y, 1e-6 * scale);
      }
      for (const auto& sum : sums) EXPECT_EQ(sum.back(), -7.0F);
    }
  }
}

TEST_P(MapForcesTest, AttractionEqualsTheDefinition) {
  const OnlyTarget only(GetParam());
  constexpr int64_t kRows = 9;
  const auto points = random_values(2 * kRows, 1, 3);
  std::vector<int64_t> begins = {0};
  std::vector<int32_t> columns;
  std::vector<float> values;
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t k = 0; k < 7 * i; ++k) {  // rows of 0 to 56 values
      columns.push_back(static_cast<int32_t>((i + 2 * k) % kRows));
      values.push_back(1.0F / static_cast<float>(k + 2));
    }
    begins.push_back(std::ssize(columns));
  }
  std::vector<float> forces(2 * kRows, -7.0F);
  constexpr int64_t kFirst = 2;
  kernels::attract({begins.data(), columns.data(), values.data()}, kFirst, kRows,
                   points.data() + 2 * kFirst, points.data(), forces.data());
  for (int64_t i = kFirst; i < kRows; ++i) {
    double force[2] = {0, 0};
    double scale = 0;
    for (int64_t e = begins[at(i)]; e < begins[at(i + 1)]; ++e) {
      const int64_t j = columns[at(e)];
      const double dx = double{points[at(2 * i)]} - points[at(2 * j)];
      const double dy = double{points[at(2 * i + 1)]} - points[at(2 * j + 1)];
      const double w = values[at(e)] / (1 + dx * dx + dy * dy);
      force[0] += w * dx;
      force[1] += w * dy;
      scale += values[at(e)];
    }
    EXPECT_NEAR(forces[at(2 * (i - kFirst))], force[0], 1e-6 * scale);
    EXPECT_NEAR(forces[at(2 * (i - kFirst) + 1)], force[1], 1e-6 * scale);
  }
  EXPECT_EQ(forces[at(2 * (kRows - kFirst))], -7.0F);
}

INSTANTIATE_TEST_SUITE_P(Targets, MapForcesTest, testing::ValuesIn(kernel_targets()),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace striate
