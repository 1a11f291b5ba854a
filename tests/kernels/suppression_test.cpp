#include "kernels/suppression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/random_values.h"
#include "kernels/targets.h"

namespace striate {
namespace {

template <typename T>
struct Boxes {
  std::vector<T> x1, y1, x2, y2;

  kernels::SortedBoxes<T> view() const {
    return {x1.data(), y1.data(), x2.data(), y2.data(), std::ssize(x1)};
  }
  std::vector<uint8_t> kept(double threshold) const {
    std::vector<uint8_t> result(x1.size(), 7);
    kernels::suppress<T>(view(), threshold, result.data());
    return result;
  }
};

// On whole pixels, so that many quotients equal the threshold.
template <typename T>
Boxes<T> drawn_boxes(int64_t count) {
  Boxes<T> boxes;
  const auto draw = [&](uint64_t seed, double deviation) {
    return random_values<T>(count, seed, deviation);
  };
  const auto x = draw(1, 12);
  const auto y = draw(2, 12);
  const auto width = draw(3, 6);
  const auto height = draw(4, 6);
  for (size_t i = 0; i < x.size(); ++i) {
    boxes.x1.push_back(std::floor(x[i]));
    boxes.y1.push_back(std::floor(y[i]));
    boxes.x2.push_back(boxes.x1[i] + std::floor(std::abs(width[i])));
    boxes.y2.push_back(boxes.y1[i] + std::floor(std::abs(height[i])));
  }
  return boxes;
}

// The definition, box by box.
template <typename T>
std::vector<uint8_t> defined(const Boxes<T>& boxes, double threshold) {
  std::vector<uint8_t> kept(boxes.x1.size(), 1);
  const auto area = [&](size_t i) {
    return (boxes.x2[i] - boxes.x1[i]) * (boxes.y2[i] - boxes.y1[i]);
  };
  for (size_t i = 0; i < kept.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const T width = std::min(boxes.x2[i], boxes.x2[j]) - std::max(boxes.x1[i], boxes.x1[j]);
      const T height = std::min(boxes.y2[i], boxes.y2[j]) - std::max(boxes.y1[i], boxes.y1[j]);
      if (kept[j] == 0 || width <= 0 || height <= 0) continue;
      const T shared = width * height;
      const T overlap = shared / (area(i) + area(j) - shared);
      if (static_cast<double>(overlap) > threshold) kept[i] = 0;
    }
  }
  return kept;
}

class SuppressionTest : public testing::TestWithParam<int64_t> {};

template <typename T>
void expect_definition() {
  for (const int64_t count : {0, 1, 7, 16, 17, 300}) {
    const Boxes<T> boxes = drawn_boxes<T>(count);
    for (const double threshold : {0.0, 0.25, 1.0 / 3, 0.5, 0.7, 1.0}) {
      EXPECT_EQ(boxes.kept(threshold), defined(boxes, threshold)) << count << " at " << threshold;
    }
  }
}

TEST_P(SuppressionTest, EqualsTheDefinition) {
  const OnlyTarget only(GetParam());
  expect_definition<float>();
  expect_definition<double>();
}

TEST_P(SuppressionTest, ABoxThatIsNoNumberNeitherSuppressesNorGoes) {
  const OnlyTarget only(GetParam());
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const Boxes<float> boxes{{0, kNan, 0}, {0, 0, 0}, {4, 4, 4}, {4, 4, 4}};
  EXPECT_EQ(boxes.kept(0.5), (std::vector<uint8_t>{1, 1, 0}));
}

INSTANTIATE_TEST_SUITE_P(Targets, SuppressionTest, testing::ValuesIn(kernel_targets()),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace striate
