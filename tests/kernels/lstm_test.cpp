#include "kernels/lstm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/random_values.h"
#include "kernels/targets.h"

namespace striate {
namespace {

constexpr int64_t kRows = 3;
// In units of the type's epsilon: exp and tanh are right to some last places.
constexpr double kTolerance = 30;

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

// h and c of a cell whose gates have these sums. (hochreiter1997, gers2000)
struct Cell {
  double i, f, g, o, c, h;
};
Cell cell_of(double i, double f, double g, double o, double c_past) {
  Cell cell{sigmoid(i), sigmoid(f), std::tanh(g), sigmoid(o), 0, 0};
  cell.c = cell.f * c_past + cell.i * cell.g;
  cell.h = cell.o * std::tanh(cell.c);
  return cell;
}

template <typename T>
void expect_the_definition(int64_t size) {
  const double tolerance = kTolerance * std::numeric_limits<T>::epsilon();
  const std::vector<T> sums = random_values<T>(kRows * 4 * size, 1, 2);
  const std::vector<T> c_past = random_values<T>(kRows * size, 2, 2);
  const std::vector<T> dh = random_values<T>(kRows * size, 3, 2);
  const std::vector<T> dh_next = random_values<T>(kRows * size, 4, 2);
  const std::vector<T> dc_next = random_values<T>(kRows * size, 5, 2);
  std::vector<T> gates = sums;
  std::vector<T> c(c_past.size() + 1, T(-7));
  std::vector<T> h(c_past.size() + 1, T(-7));
  const kernels::LstmStep<T> step = {.hidden_size = size,
                                     .gates = gates.data(),
                                     .c_past = c_past.data(),
                                     .c = c.data(),
                                     .h = h.data()};
  kernels::lstm_step(step, 0, 1);
  kernels::lstm_step(step, 1, kRows);
  std::vector<T> dc = dc_next;
  std::vector<T> dgates(sums.size() + 1, T(-7));
  const kernels::LstmGradient<T> gradient = {.hidden_size = size,
                                             .gates = gates.data(),
                                             .c_past = c_past.data(),
                                             .c = c.data(),
                                             .dh = dh.data(),
                                             .dh_next = dh_next.data(),
                                             .dc = dc.data(),
                                             .dgates = dgates.data()};
  kernels::lstm_gradient(gradient, 0, 2);
  kernels::lstm_gradient(gradient, 2, kRows);
  for (int64_t at = 0; at < kRows * size; ++at) {
    const auto k = static_cast<size_t>(at);
    const auto gate = [&](int64_t which) {
      return static_cast<size_t>(at / size * 4 * size + which * size + at % size);
    };
    const Cell cell =
        cell_of(sums[gate(0)], sums[gate(1)], sums[gate(2)], sums[gate(3)], c_past[k]);
    EXPECT_NEAR(c[k], cell.c, tolerance);
    EXPECT_NEAR(h[k], cell.h, tolerance);
    const double above = double{dh[k]} + dh_next[k];
    const double flat = 1 - std::tanh(cell.c) * std::tanh(cell.c);
    const double by_c = dc_next[k] + above * cell.o * flat;
    const double bound = tolerance * (1 + std::abs(by_c)) * (1 + std::abs(c_past[k]));
    EXPECT_NEAR(dgates[gate(0)], by_c * cell.g * cell.i * (1 - cell.i), bound);
    EXPECT_NEAR(dgates[gate(1)], by_c * c_past[k] * cell.f * (1 - cell.f), bound);
    EXPECT_NEAR(dgates[gate(2)], by_c * cell.i * (1 - cell.g * cell.g), bound);
    EXPECT_NEAR(dgates[gate(3)], above * std::tanh(cell.c) * cell.o * (1 - cell.o), bound);
    EXPECT_NEAR(dc[k], by_c * cell.f, bound);
  }
  EXPECT_EQ(c.back(), T(-7));
  EXPECT_EQ(h.back(), T(-7));
  EXPECT_EQ(dgates.back(), T(-7));
}

class LstmTest : public testing::TestWithParam<int64_t> {};

TEST_P(LstmTest, EqualsTheDefinition) {
  const OnlyTarget only(GetParam());
  for (const int64_t size : {1, 7, 16, 33}) {
    expect_the_definition<float>(size);
    expect_the_definition<double>(size);
  }
}

// A gate that is shut or open as far as it goes is 0 or 1, and nothing is NaN.
TEST_P(LstmTest, GatesSaturate) {
  const OnlyTarget only(GetParam());
  std::vector<float> gates = {-1e30F, 1e30F, -1e30F, 1e4F};
  const float c_past = 0.5F;
  float c = 0;
  float h = 0;
  kernels::lstm_step(
      kernels::LstmStep<float>{
          .hidden_size = 1, .gates = gates.data(), .c_past = &c_past, .c = &c, .h = &h},
      0, 1);
  EXPECT_NEAR(gates[0], 0, 1e-30);
  EXPECT_EQ(gates[1], 1);
  EXPECT_EQ(gates[2], -1);
  EXPECT_EQ(c, 0.5F);
  EXPECT_NEAR(h, std::tanh(0.5), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Targets, LstmTest, testing::ValuesIn(kernel_targets()),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace striate
