#include "kernels/recurrent_cells.h"

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
void expect_the_lstm(int64_t size) {
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

template <typename T>
void expect_the_rnn(int64_t size) {
  const double tolerance = kTolerance * std::numeric_limits<T>::epsilon();
  const std::vector<T> sums = random_values<T>(kRows * size, 1, 2);
  const std::vector<T> dh = random_values<T>(kRows * size, 2, 2);
  const std::vector<T> dh_next = random_values<T>(kRows * size, 3, 2);
  std::vector<T> h(sums.size() + 1, T(-7));
  std::vector<T> dsums(sums.size() + 1, T(-7));
  const kernels::RnnStep<T> step = {.hidden_size = size, .sums = sums.data(), .h = h.data()};
  kernels::rnn_step(step, 0, 1);
  kernels::rnn_step(step, 1, kRows);
  const kernels::RnnGradient<T> gradient = {.hidden_size = size,
                                            .h = h.data(),
                                            .dh = dh.data(),
                                            .dh_next = dh_next.data(),
                                            .dsums = dsums.data()};
  kernels::rnn_gradient(gradient, 0, 2);
  kernels::rnn_gradient(gradient, 2, kRows);
  for (size_t k = 0; k < sums.size(); ++k) {
    const double value = std::tanh(double{sums[k]});
    const double above = double{dh[k]} + dh_next[k];
    EXPECT_NEAR(h[k], value, tolerance);
    EXPECT_NEAR(dsums[k], above * (1 - value * value), tolerance * (1 + std::abs(above)));
  }
  EXPECT_EQ(h.back(), T(-7));
  EXPECT_EQ(dsums.back(), T(-7));
}

template <typename T>
void expect_the_gru(int64_t size) {
  const double tolerance = kTolerance * std::numeric_limits<T>::epsilon();
  const std::vector<T> x_sums = random_values<T>(kRows * 3 * size, 1, 2);
  const std::vector<T> h_sums = random_values<T>(kRows * 3 * size, 2, 2);
  const std::vector<T> bias = random_values<T>(size, 3, 2);
  const std::vector<T> h_past = random_values<T>(kRows * size, 4, 2);
  const std::vector<T> dh = random_values<T>(kRows * size, 5, 2);
  const std::vector<T> dh_above = random_values<T>(kRows * size, 6, 2);
  std::vector<T> gates = x_sums;
  std::vector<T> h_new(h_past.size() + 1, T(-7));
  std::vector<T> h(h_past.size() + 1, T(-7));
  const kernels::GruStep<T> step = {.hidden_size = size,
                                    .gates = gates.data(),
                                    .h_sums = h_sums.data(),
                                    .bias = bias.data(),
                                    .h_past = h_past.data(),
                                    .h_new = h_new.data(),
                                    .h = h.data()};
  kernels::gru_step(step, 0, 1);
  kernels::gru_step(step, 1, kRows);
  std::vector<T> dh_next = dh_above;
  std::vector<T> dgates(gates.size() + 1, T(-7));
  std::vector<T> dh_sums(gates.size() + 1, T(-7));
  const kernels::GruGradient<T> gradient = {.hidden_size = size,
                                            .gates = gates.data(),
                                            .h_new = h_new.data(),
                                            .h_past = h_past.data(),
                                            .dh = dh.data(),
                                            .dh_next = dh_next.data(),
                                            .dgates = dgates.data(),
                                            .dh_sums = dh_sums.data()};
  kernels::gru_gradient(gradient, 0, 2);
  kernels::gru_gradient(gradient, 2, kRows);
  for (int64_t at = 0; at < kRows * size; ++at) {
    const auto k = static_cast<size_t>(at);
    const auto gate = [&](int64_t which) {
      return static_cast<size_t>(at / size * 3 * size + which * size + at % size);
    };
    const double r = sigmoid(double{x_sums[gate(0)]} + h_sums[gate(0)]);
    const double z = sigmoid(double{x_sums[gate(1)]} + h_sums[gate(1)]);
    const double of_h = double{h_sums[gate(2)]} + bias[static_cast<size_t>(at % size)];
    const double n = std::tanh(x_sums[gate(2)] + r * of_h);
    EXPECT_NEAR(h_new[k], of_h, tolerance);
    EXPECT_NEAR(h[k], (1 - z) * n + z * h_past[k], tolerance * (1 + std::abs(h_past[k])));
    const double above = double{dh[k]} + dh_above[k];
    const double dn = above * (1 - z) * (1 - n * n);
    const double bound =
        tolerance * (1 + std::abs(above)) * (1 + std::abs(h_past[k])) * (1 + std::abs(of_h));
    EXPECT_NEAR(dgates[gate(0)], dn * of_h * r * (1 - r), bound);
    EXPECT_NEAR(dgates[gate(1)], above * (h_past[k] - n) * z * (1 - z), bound);
    EXPECT_NEAR(dgates[gate(2)], dn, bound);
    EXPECT_EQ(dh_sums[gate(0)], dgates[gate(0)]);
    EXPECT_EQ(dh_sums[gate(1)], dgates[gate(1)]);
    EXPECT_NEAR(dh_sums[gate(2)], dn * r, bound);
    EXPECT_NEAR(dh_next[k], above * z, bound);
  }
  EXPECT_EQ(h.back(), T(-7));
  EXPECT_EQ(h_new.back(), T(-7));
  EXPECT_EQ(dgates.back(), T(-7));
  EXPECT_EQ(dh_sums.back(), T(-7));
}

class RecurrentCellsTest : public testing::TestWithParam<int64_t> {};

TEST_P(RecurrentCellsTest, EqualTheirDefinitions) {
  const OnlyTarget only(GetParam());
  for (const int64_t size : {1, 7, 16, 33}) {
    expect_the_rnn<float>(size);
    expect_the_rnn<double>(size);
    expect_the_lstm<float>(size);
    expect_the_lstm<double>(size);
    expect_the_gru<float>(size);
    expect_the_gru<double>(size);
  }
}

// A gate that is shut or open as far as it goes is 0 or 1, and nothing is NaN.
TEST_P(RecurrentCellsTest, GatesSaturate) {
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

INSTANTIATE_TEST_SUITE_P(Targets, RecurrentCellsTest, testing::ValuesIn(kernel_targets()),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace striate
