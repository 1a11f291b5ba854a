#include "kernels/batch_norm.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "kernels/targets.h"
#include "striate/base/random.h"

namespace striate {
namespace {

std::vector<float> random_values(int64_t count, uint64_t seed, double offset = 0) {
  Random random({seed});
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(random.normal() + offset);
  return values;
}

// One, some and many vectors, whole and cut.
const std::vector<int64_t> kChannels = {1, 5, 16, 17, 64, 100};
constexpr int64_t kRows = 37;

class NormKernelTest : public testing::TestWithParam<int64_t> {};

TEST_P(NormKernelTest, StatisticsStandALargeMean) {
  const OnlyTarget only(GetParam());
  for (const int64_t channels : kChannels) {
    const auto x = random_values(kRows * channels, 1, /*offset=*/1000);
    std::vector<float> mean(static_cast<size_t>(channels) + 1, -1);
    std::vector<float> deviations(mean);
    kernels::norm_statistics(x.data(), kRows, channels, mean.data(), deviations.data());
    for (int64_t c = 0; c < channels; ++c) {
      double m = 0;
      double squares = 0;
      for (int64_t r = 0; r < kRows; ++r) m += x[static_cast<size_t>(r * channels + c)];
      m /= kRows;
      for (int64_t r = 0; r < kRows; ++r) {
        squares += std::pow(x[static_cast<size_t>(r * channels + c)] - m, 2);
      }
      EXPECT_NEAR(mean[static_cast<size_t>(c)], m, 1e-3);
      EXPECT_NEAR(deviations[static_cast<size_t>(c)], squares, 1e-4 * squares);
    }
    EXPECT_EQ(mean.back(), -1);  // nothing is written past the channels
    EXPECT_EQ(deviations.back(), -1);
  }
}

TEST_P(NormKernelTest, AppliesWithShortcutAndReLU) {
  const OnlyTarget only(GetParam());
  for (const int64_t channels : kChannels) {
    const auto x = random_values(kRows * channels, 1);
    const auto residual = random_values(kRows * channels, 2);
    const auto scale = random_values(channels, 3);
    const auto shift = random_values(channels, 4);
    for (const bool relu : {false, true}) {
      for (const float* added : {static_cast<const float*>(nullptr), residual.data()}) {
        std::vector<float> y(x.size() + 1, -7);
        kernels::norm_apply<float>({x.data(), added, scale.data(), shift.data(), relu, y.data()},
                                   kRows, channels);
        for (size_t i = 0; i < x.size(); ++i) {
          const size_t c = i % static_cast<size_t>(channels);
          const float sum = x[i] * scale[c] + shift[c] + (added != nullptr ? added[i] : 0);
          EXPECT_NEAR(y[i], relu ? std::max(sum, 0.0F) : sum, 1e-5);
        }
        EXPECT_EQ(y.back(), -7);
      }
    }
  }
}

TEST_P(NormKernelTest, GradientsFollowTheirFormulas) {
  const OnlyTarget only(GetParam());
  for (const int64_t channels : kChannels) {
    const auto x = random_values(kRows * channels, 1);
    const auto gradient = random_values(kRows * channels, 2);
    const auto output = random_values(kRows * channels, 3);
    const auto mean = random_values(channels, 4);
    const auto scale = random_values(channels, 5);
    const auto offset = random_values(channels, 6);
    const auto slope = random_values(channels, 7);
    for (const float* y : {static_cast<const float*>(nullptr), output.data()}) {
      const kernels::NormGradient<float> norm{gradient.data(), y, x.data(), mean.data()};
      std::vector<float> sums(static_cast<size_t>(channels));
      std::vector<float> products(sums);
      kernels::norm_reduce_gradient(norm, kRows, channels, sums.data(), products.data());
      std::vector<float> to_input(x.size());
      std::vector<float> to_residual(x.size());
      kernels::norm_input_gradient<float>(
          norm, {scale.data(), offset.data(), slope.data(), to_input.data(), to_residual.data()},
          kRows, channels);
      std::vector<double> sum(sums.size());
      std::vector<double> product(sums.size());
      for (size_t i = 0; i < x.size(); ++i) {
        const size_t c = i % static_cast<size_t>(channels);
        const float g = y == nullptr || y[i] > 0 ? gradient[i] : 0;
        sum[c] += g;
        product[c] += g * (x[i] - mean[c]);
        EXPECT_EQ(to_residual[i], g);
        EXPECT_NEAR(to_input[i], (g - offset[c] - (x[i] - mean[c]) * slope[c]) * scale[c], 1e-4);
      }
      for (size_t c = 0; c < sums.size(); ++c) {
        EXPECT_NEAR(sums[c], sum[c], 1e-4);
        EXPECT_NEAR(products[c], product[c], 1e-4);
      }
    }
  }
}

// The nearest of the numbers with 8 significant bits, ties to even.
kernels::BFloat16 rounded(float value) {
  if (std::isnan(value)) return {0x7FC0};
  const auto bits = std::bit_cast<uint32_t>(value);
  return {static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)};
}

float widened(kernels::BFloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}

// Some values as BFloat16, and the same as float.
struct BothTypes {
  explicit BothTypes(const std::vector<float>& values) {
    for (const float value : values) {
      half.push_back(rounded(value));
      full.push_back(widened(half.back()));
    }
  }
  std::vector<kernels::BFloat16> half;
  std::vector<float> full;
};

void expect_rounded(const std::vector<kernels::BFloat16>& half, const std::vector<float>& full) {
  for (size_t i = 0; i < full.size(); ++i) EXPECT_EQ(half[i].bits, rounded(full[i]).bits) << i;
}

// The same sums; a compiler may join other multiplications and additions in each.
void expect_near(const std::vector<float>& half, const std::vector<float>& full) {
  for (size_t i = 0; i < full.size(); ++i) {
    EXPECT_NEAR(half[i], full[i], 1e-5 * (1 + std::abs(full[i]))) << i;
  }
}

TEST_P(NormKernelTest, BFloat16IsFloat32Rounded) {
  const OnlyTarget only(GetParam());
  for (const int64_t channels : kChannels) {
    BothTypes x(random_values(kRows * channels, 1));
    const BothTypes residual(random_values(kRows * channels, 2));
    const BothTypes gradient(random_values(kRows * channels, 3));
    const auto scale = random_values(channels, 4);
    const auto shift = random_values(channels, 5);
    x.full[0] = std::nanf("");
    x.half[0] = rounded(x.full[0]);
    std::vector<float> y(x.full.size());
    std::vector<kernels::BFloat16> half_y(y.size());
    kernels::norm_apply<float>(
        {x.full.data(), residual.full.data(), scale.data(), shift.data(), false, y.data()}, kRows,
        channels);
    kernels::norm_apply<kernels::BFloat16>(
        {x.half.data(), residual.half.data(), scale.data(), shift.data(), false, half_y.data()},
        kRows, channels);
    expect_rounded(half_y, y);

    x = BothTypes(random_values(kRows * channels, 1));
    const auto count = static_cast<size_t>(channels);
    std::vector<float> mean(count), squares(count), half_mean(count), half_squares(count);
    kernels::norm_statistics(x.full.data(), kRows, channels, mean.data(), squares.data());
    kernels::norm_statistics(x.half.data(), kRows, channels, half_mean.data(), half_squares.data());
    expect_near(half_mean, mean);
    expect_near(half_squares, squares);

    const kernels::NormGradient<float> norm{gradient.full.data(), residual.full.data(),
                                            x.full.data(), mean.data()};
    const kernels::NormGradient<kernels::BFloat16> half_norm{
        gradient.half.data(), residual.half.data(), x.half.data(), mean.data()};
    std::vector<float> sums(count), half_sums(count);
    kernels::norm_reduce_gradient(norm, kRows, channels, sums.data(), squares.data());
    kernels::norm_reduce_gradient(half_norm, kRows, channels, half_sums.data(),
                                  half_squares.data());
    expect_near(half_sums, sums);
    expect_near(half_squares, squares);
    std::vector<float> to_residual(y.size());
    std::vector<kernels::BFloat16> half_residual(y.size());
    kernels::norm_input_gradient<float>(
        norm, {scale.data(), shift.data(), shift.data(), y.data(), to_residual.data()}, kRows,
        channels);
    kernels::norm_input_gradient<kernels::BFloat16>(
        half_norm, {scale.data(), shift.data(), shift.data(), half_y.data(), half_residual.data()},
        kRows, channels);
    expect_rounded(half_y, y);
    expect_rounded(half_residual, to_residual);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, NormKernelTest, testing::ValuesIn(kernel_targets()),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace striate
