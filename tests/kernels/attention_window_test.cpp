#include "kernels/attention_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/random_values.h"
#include "kernels/targets.h"

namespace striate {
namespace {

constexpr int64_t kRows = 3;
constexpr int64_t kNumbers = 5;
// In units of the type's epsilon, of sums of some dozens of terms.
constexpr double kTolerance = 400;
constexpr double kDifferenceStep = 1e-5;
constexpr double kDifferenceTolerance = 1e-7;

int64_t area(const kernels::Window& w) {
  return w.channels * w.height * w.width;
}
int64_t patch_area(const kernels::Window& w) {
  return w.channels * w.size * w.size;
}

// Filter i along an axis. (gregor2015, eqs. 19 to 26)
template <typename T>
std::vector<double> filter(const kernels::Window& w, const T* numbers, bool of_x, int64_t i) {
  const int64_t extent = of_x ? w.width : w.height;
  const double g = numbers[of_x ? 0 : 1];
  const double longest = static_cast<double>(std::max(w.width, w.height) - 1);
  const double stride = longest / static_cast<double>(std::max<int64_t>(w.size - 1, 1)) *
                        std::exp(double{numbers[3]});
  const double center = (static_cast<double>(extent) + 1) / 2 * (g + 1);
  const double mu =
      center + (static_cast<double>(i + 1) - static_cast<double>(w.size) / 2 - 0.5) * stride;
  std::vector<double> values(static_cast<size_t>(extent));
  double sum = 0;
  for (int64_t a = 0; a < extent; ++a) {
    const double from = static_cast<double>(a + 1) - mu;
    sum += values[static_cast<size_t>(a)] =
        std::exp(-from * from / (2 * std::exp(double{numbers[2]})));
  }
  for (double& value : values) value /= sum;
  return values;
}

// Calls `body(patch index, pixel index, weight)` for one image.
template <typename T, typename Body>
void for_weights(const kernels::Window& w, const T* numbers, const Body& body) {
  for (int64_t i = 0; i < w.size; ++i) {
    const std::vector<double> fy = filter(w, numbers, false, i);
    for (int64_t j = 0; j < w.size; ++j) {
      const std::vector<double> fx = filter(w, numbers, true, j);
      for (int64_t c = 0; c < w.channels; ++c) {
        for (int64_t p = 0; p < w.height * w.width; ++p) {
          body(static_cast<size_t>((c * w.size + i) * w.size + j),
               static_cast<size_t>(c * w.height * w.width + p),
               fy[static_cast<size_t>(p / w.width)] * fx[static_cast<size_t>(p % w.width)]);
        }
      }
    }
  }
}

template <typename T>
std::vector<T> random_means(int64_t count, uint64_t seed) {
  std::vector<T> values = random_values<T>(count, seed);
  for (T& value : values) value = 1 / (1 + std::exp(-value));
  return values;
}

template <typename T>
kernels::WindowRead<T> read_of(const kernels::Window& w, const std::vector<T>& numbers,
                               const std::vector<T>& image, const std::vector<T>& mean,
                               std::vector<T>& patches) {
  return {.window = w,
          .numbers = {numbers.data(), kNumbers},
          .image = {image.data(), area(w)},
          .mean = {mean.data(), area(w)},
          .patches = {patches.data(), 2 * patch_area(w)}};
}

template <typename T>
void expect_the_definition(const kernels::Window& w) {
  const double tolerance = kTolerance * std::numeric_limits<T>::epsilon();
  const std::vector<T> numbers = random_values<T>(kRows * kNumbers, 1, 0.5);
  const std::vector<T> image = random_means<T>(kRows * area(w), 2);
  const std::vector<T> mean = random_means<T>(kRows * area(w), 3);
  std::vector<T> patches(static_cast<size_t>(kRows * 2 * patch_area(w)) + 1, T(-7));
  const auto read = read_of(w, numbers, image, mean, patches);
  kernels::read_window(read, 0, 1);
  kernels::read_window(read, 1, kRows);
  const std::vector<T> patch = random_values<T>(kRows * patch_area(w), 4);
  std::vector<T> canvas(static_cast<size_t>(kRows * area(w)) + 1, T(2));
  const kernels::WindowWrite<T> write = {.window = w,
                                         .numbers = {numbers.data(), kNumbers},
                                         .patch = {patch.data(), patch_area(w)},
                                         .canvas = {canvas.data(), area(w)}};
  kernels::write_window(write, 0, 2);
  kernels::write_window(write, 2, kRows);
  for (int64_t row = 0; row < kRows; ++row) {
    const T* const own = numbers.data() + row * kNumbers;
    const double gamma = std::exp(double{own[4]});
    const auto values = static_cast<size_t>(patch_area(w));
    const auto pixels = static_cast<size_t>(area(w));
    std::vector<double> seen(values), missing(values), written(pixels, 2.0);
    for_weights(w, own, [&](size_t k, size_t p, double weight) {
      const size_t at = static_cast<size_t>(row) * pixels + p;
      seen[k] += gamma * weight * image[at];
      missing[k] += gamma * weight * (double{image[at]} - mean[at]);
      written[p] += weight * patch[static_cast<size_t>(row) * values + k] / gamma;
    });
    for (size_t k = 0; k < values; ++k) {
      const size_t at = static_cast<size_t>(row) * 2 * values + k;
      EXPECT_NEAR(patches[at], seen[k], tolerance * (1 + gamma));
      EXPECT_NEAR(patches[at + values], missing[k], tolerance * (1 + gamma));
    }
    for (size_t p = 0; p < pixels; ++p) {
      EXPECT_NEAR(canvas[static_cast<size_t>(row) * pixels + p], written[p],
                  tolerance * (1 + 1 / gamma));
    }
  }
  EXPECT_EQ(patches.back(), T(-7));
  EXPECT_EQ(canvas.back(), T(2));
}

double difference(double& value, const std::function<double()>& f) {
  const double before = value;
  value = before + kDifferenceStep;
  const double above = f();
  value = before - kDifferenceStep;
  const double below = f();
  value = before;
  return (above - below) / (2 * kDifferenceStep);
}

double product(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void expect_the_gradient_of_reading(const kernels::Window& w) {
  std::vector<double> numbers = random_values<double>(kRows * kNumbers, 1, 0.5);
  const std::vector<double> image = random_means<double>(kRows * area(w), 2);
  std::vector<double> canvas = random_values<double>(kRows * area(w), 3);
  const std::vector<double> dpatches = random_values<double>(kRows * 2 * patch_area(w), 4);
  std::vector<double> mean(canvas.size());
  std::vector<double> patches(dpatches.size());
  const auto score = [&] {
    for (size_t i = 0; i < mean.size(); ++i) mean[i] = 1 / (1 + std::exp(-canvas[i]));
    kernels::read_window(read_of(w, numbers, image, mean, patches), 0, kRows);
    return product(patches, dpatches);
  };
  score();
  std::vector<double> dnumbers(numbers.size(), 9.0);
  std::vector<double> dcanvas(canvas.size(), 0.5);  // is added to
  kernels::read_window_gradient(
      kernels::WindowReadGradient<double>{.window = w,
                                          .numbers = {numbers.data(), kNumbers},
                                          .image = {image.data(), area(w)},
                                          .mean = {mean.data(), area(w)},
                                          .patches = {patches.data(), 2 * patch_area(w)},
                                          .dpatches = {dpatches.data(), 2 * patch_area(w)},
                                          .dnumbers = {dnumbers.data(), kNumbers},
                                          .dcanvas = {dcanvas.data(), area(w)}},
      0, kRows);
  for (size_t i = 0; i < numbers.size(); ++i) {
    EXPECT_NEAR(dnumbers[i], difference(numbers[i], score), kDifferenceTolerance) << i;
  }
  for (size_t i = 0; i < canvas.size(); ++i) {
    EXPECT_NEAR(dcanvas[i], 0.5 + difference(canvas[i], score), kDifferenceTolerance) << i;
  }
}

void expect_the_gradient_of_writing(const kernels::Window& w) {
  std::vector<double> numbers = random_values<double>(kRows * kNumbers, 1, 0.5);
  std::vector<double> patch = random_values<double>(kRows * patch_area(w), 2);
  const std::vector<double> dcanvas = random_values<double>(kRows * area(w), 3);
  const auto score = [&] {
    std::vector<double> canvas(dcanvas.size(), 0.0);
    kernels::write_window(kernels::WindowWrite<double>{.window = w,
                                                       .numbers = {numbers.data(), kNumbers},
                                                       .patch = {patch.data(), patch_area(w)},
                                                       .canvas = {canvas.data(), area(w)}},
                          0, kRows);
    return product(canvas, dcanvas);
  };
  std::vector<double> dnumbers(numbers.size(), 9.0);
  std::vector<double> dpatch(patch.size(), 9.0);
  kernels::write_window_gradient(
      kernels::WindowWriteGradient<double>{.window = w,
                                           .numbers = {numbers.data(), kNumbers},
                                           .patch = {patch.data(), patch_area(w)},
                                           .dcanvas = {dcanvas.data(), area(w)},
                                           .dnumbers = {dnumbers.data(), kNumbers},
                                           .dpatch = {dpatch.data(), patch_area(w)}},
      0, kRows);
  for (size_t i = 0; i < numbers.size(); ++i) {
    EXPECT_NEAR(dnumbers[i], difference(numbers[i], score), kDifferenceTolerance) << i;
  }
  for (size_t i = 0; i < patch.size(); ++i) {
    EXPECT_NEAR(dpatch[i], difference(patch[i], score), kDifferenceTolerance) << i;
  }
}

// Sides that fill no vector, one, and several; more than one channel; a single filter.
const std::vector<kernels::Window>& windows() {
  static const std::vector<kernels::Window> kWindows = {
      {.size = 2, .channels = 1, .height = 28, .width = 28},
      {.size = 3, .channels = 3, .height = 5, .width = 7},
      {.size = 1, .channels = 1, .height = 37, .width = 3}};
  return kWindows;
}

class AttentionWindowTest : public testing::TestWithParam<int64_t> {};

TEST_P(AttentionWindowTest, EqualsTheDefinition) {
  const OnlyTarget only(GetParam());
  for (const kernels::Window& window : windows()) {
    expect_the_definition<float>(window);
    expect_the_definition<double>(window);
  }
}

TEST_P(AttentionWindowTest, HasTheGradientOfDifferences) {
  const OnlyTarget only(GetParam());
  for (const kernels::Window& window : windows()) {
    expect_the_gradient_of_reading(window);
    expect_the_gradient_of_writing(window);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, AttentionWindowTest, testing::ValuesIn(kernel_targets()),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace striate
