#include "kernels/neighbours.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "kernels/random_values.h"
#include "kernels/targets.h"

namespace striate {
namespace {

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

class NeighboursTest : public testing::TestWithParam<int64_t> {};

TEST_P(NeighboursTest, KeysEqualTheDefinition) {
  const OnlyTarget only(GetParam());
  const int64_t panel = kernels::distance_panel();
  for (const int64_t width : {1, 3, 50, 129}) {
    for (const int64_t rows : {1, 5, 13}) {
      const int64_t columns = 2 * panel + 1;
      const int64_t panels = 3;
      const auto a = random_values(rows * width, 1);
      const auto b = random_values(columns * width, 2);
      const auto offsets = random_values(panels * panel, 3);
      std::vector<float> packed(at(panels * width * panel), -7.0F);
      kernels::pack_distance_panels(b.data(), columns, width, packed.data());
      std::vector<float> keys(at(rows * panels * panel) + 1, -7.0F);
      kernels::distance_keys(
          {a.data(), rows, width, packed.data(), offsets.data(), panels, keys.data()});
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < panels * panel; ++c) {
          double dot = 0;
          double scale = 1;
          for (int64_t k = 0; c < columns && k < width; ++k) {
            const double product = double{a[at(r * width + k)]} * b[at(c * width + k)];
            dot += product;
            scale += std::abs(product);
          }
          EXPECT_NEAR(keys[at(r * panels * panel + c)], offsets[at(c)] - dot, 1e-6 * scale);
        }
      }
      EXPECT_EQ(keys.back(), -7.0F);
    }
  }
}

TEST_P(NeighboursTest, AKeyDoesNotDependOnItsBlock) {
  const OnlyTarget only(GetParam());
  constexpr int64_t kWidth = 37;
  constexpr int64_t kRows = 11;
  const int64_t panel = kernels::distance_panel();
  const auto a = random_values(kRows * kWidth, 1);
  const auto b = random_values(panel * kWidth, 2);
  const auto offsets = random_values(panel, 3);
  std::vector<float> packed(at(kWidth * panel));
  kernels::pack_distance_panels(b.data(), panel, kWidth, packed.data());
  std::vector<float> together(at(kRows * panel));
  kernels::distance_keys(
      {a.data(), kRows, kWidth, packed.data(), offsets.data(), 1, together.data()});
  for (int64_t r = 0; r < kRows; ++r) {
    std::vector<float> alone(at(panel));
    kernels::distance_keys(
        {a.data() + r * kWidth, 1, kWidth, packed.data(), offsets.data(), 1, alone.data()});
    for (int64_t c = 0; c < panel; ++c) EXPECT_EQ(alone[at(c)], together[at(r * panel + c)]);
  }
}

TEST_P(NeighboursTest, FindsAndCountsWhatIsBelow) {
  const OnlyTarget only(GetParam());
  for (const int64_t count : {0, 1, 15, 16, 17, 100, 1003}) {
    auto values = random_values(count, 4);
    for (int64_t i = 0; i < count; i += 5) values[at(i)] = 0.25F;
    for (const float limit : {-std::numeric_limits<float>::infinity(), -1.0F, 0.25F, 100.0F}) {
      std::vector<int32_t> expected;
      kernels::Counts counted;
      for (int64_t i = 0; i < count; ++i) {
        if (values[at(i)] < limit) expected.push_back(static_cast<int32_t>(i));
        if (values[at(i)] < limit) ++counted.below;
        if (values[at(i)] == limit) ++counted.equal;
      }
      std::vector<int32_t> found(at(count) + 16);
      found.resize(at(kernels::find_below(values.data(), count, limit, found.data())));
      EXPECT_EQ(found, expected) << count << " values, below " << limit;
      const kernels::Counts counts = kernels::count_below(values.data(), count, limit);
      EXPECT_EQ(counts.below, counted.below);
      EXPECT_EQ(counts.equal, counted.equal);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, NeighboursTest, testing::ValuesIn(kernel_targets()),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace striate
