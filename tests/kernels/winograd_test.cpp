#include "kernels/winograd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/random_values.h"
#include "kernels/targets.h"

namespace striate {
namespace {

using kernels::KernelUse;
using kernels::WinogradShape;

// The definition of a convolution and of its gradients, in float64, on images that are channels
// last and kernels (out, 3, 3, in).
struct Direct {
  std::vector<double> output;
  std::vector<double> input_gradient;
  std::vector<double> kernel_gradient;
};

Direct direct(const WinogradShape& s, const std::vector<float>& input,
              const std::vector<float>& kernels, const std::vector<float>& gradient) {
  Direct result{std::vector<double>(gradient.size()), std::vector<double>(input.size()),
                std::vector<double>(kernels.size())};
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t y = 0; y < s.out_height(); ++y) {
      for (int64_t x = 0; x < s.out_width(); ++x) {
        for (int64_t tap = 0; tap < 9; ++tap) {
          const int64_t from_y = y + tap / 3 - s.pad_height;
          const int64_t from_x = x + tap % 3 - s.pad_width;
          if (from_y < 0 || from_y >= s.height || from_x < 0 || from_x >= s.width) continue;
          for (int64_t k = 0; k < s.out_channels; ++k) {
            const auto out = static_cast<size_t>(
                ((n * s.out_height() + y) * s.out_width() + x) * s.out_channels + k);
            for (int64_t c = 0; c < s.in_channels; ++c) {
              const auto in = static_cast<size_t>(
                  ((n * s.height + from_y) * s.width + from_x) * s.in_channels + c);
              const auto kernel = static_cast<size_t>((k * 9 + tap) * s.in_channels + c);
              result.output[out] += static_cast<double>(input[in]) * kernels[kernel];
              result.input_gradient[in] += static_cast<double>(gradient[out]) * kernels[kernel];
              result.kernel_gradient[kernel] += static_cast<double>(gradient[out]) * input[in];
            }
          }
        }
      }
    }
  }
  return result;
}

double relative_error(const std::vector<float>& values, const std::vector<double>& truth) {
  double error = 0;
  double size = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    error += (values[i] - truth[i]) * (values[i] - truth[i]);
    size += truth[i] * truth[i];
  }
  return std::sqrt(error / size);
}

std::vector<float> pack(KernelUse use, const WinogradShape& s, const std::vector<float>& kernels,
                        const float* scale = nullptr) {
  const bool output = use == KernelUse::kOutput;
  const int64_t rows = output ? s.in_channels : s.out_channels;
  const int64_t columns = kernels::winograd_padded(output ? s.out_channels : s.in_channels);
  std::vector<float> packed(static_cast<size_t>(kernels::kWinogradPoints * rows * columns));
  kernels::winograd_pack(s.in_channels, s.out_channels, {kernels.data(), scale, use}, packed.data(),
                         0, columns / kernels::winograd_panel());
  return packed;
}

// In two parts, cut at `cut`.
std::vector<float> convolve(const WinogradShape& s, const std::vector<float>& input,
                            const std::vector<float>& packed, int64_t cut,
                            const kernels::Epilogue<float>& epilogue = {}) {
  std::vector<float> output(
      static_cast<size_t>(s.batch * s.out_height() * s.out_width() * s.out_channels), -7.0F);
  std::vector<float> scratch(static_cast<size_t>(kernels::winograd_scratch_size(s, s.tiles())));
  for (const auto& [begin, end] : {std::pair{int64_t{0}, cut}, std::pair{cut, s.tiles()}}) {
    const kernels::WinogradConvolution<float> convolution = {.input = input.data(),
                                                             .input_stride = s.in_channels,
                                                             .packed = packed.data(),
                                                             .epilogue = epilogue,
                                                             .output = output.data(),
                                                             .output_stride = s.out_channels};
    const int64_t panels = kernels::winograd_padded(s.out_channels) / kernels::winograd_panel();
    for (const auto& [from, to] : {std::pair{int64_t{0}, panels / 2}, {panels / 2, panels}}) {
      kernels::winograd_convolve(s, convolution, begin, end, from, to, scratch.data());
    }
  }
  return output;
}

std::vector<float> kernel_gradient(const WinogradShape& s, const std::vector<float>& input,
                                   const std::vector<float>& gradient) {
  const int64_t in = kernels::winograd_padded(s.in_channels);
  const int64_t out = kernels::winograd_padded(s.out_channels);
  const int64_t chunk = s.tiles() / 2 + 1;
  const auto points = kernels::kWinogradPoints;
  std::vector<float> sums(static_cast<size_t>(points * s.out_channels * in));
  std::vector<float> inputs(static_cast<size_t>(points * chunk * in), 3.0F);
  std::vector<float> gradients(static_cast<size_t>(points * chunk * out), 3.0F);
  for (int64_t first = 0; first < s.tiles(); first += chunk) {
    const int64_t count = std::min(chunk, s.tiles() - first);
    const kernels::WinogradTiles tiles{first, count, first, first + count};
    kernels::winograd_transform_input(s, input.data(), tiles, inputs.data());
    kernels::winograd_transform_gradient(s, gradient.data(), tiles, gradients.data());
    kernels::winograd_add_products(s, inputs.data(), gradients.data(), count, sums.data(), 0, 20);
    kernels::winograd_add_products(s, inputs.data(), gradients.data(), count, sums.data(), 20,
                                   points);
  }
  std::vector<float> result(static_cast<size_t>(s.out_channels * 9 * s.in_channels));
  kernels::winograd_finish_kernels(s, sums.data(), result.data(), 0, 1);
  kernels::winograd_finish_kernels(s, sums.data(), result.data(), 1, s.out_channels);
  return result;
}

// batch, height, width, in, out, padding: whole and cut tiles, whole and cut vectors, every
// padding.
const std::vector<WinogradShape> kShapes = {
    {1, 3, 3, 1, 1, 1, 1},    {1, 3, 3, 1, 1, 0, 0},   {2, 7, 9, 3, 5, 1, 1},
    {2, 13, 6, 24, 40, 0, 0}, {1, 5, 5, 16, 33, 2, 2}, {2, 8, 12, 64, 64, 1, 1},
    {1, 6, 7, 65, 31, 1, 0},
};

class WinogradTest : public testing::TestWithParam<int64_t> {};

TEST_P(WinogradTest, ScalesTheKernelsOfAnOutputChannel) {
  const OnlyTarget only(GetParam());
  for (const WinogradShape& s : kShapes) {
    const auto kernels = random_values(s.out_channels * 9 * s.in_channels, 2);
    const auto scale = random_values(s.out_channels, 5);
    auto scaled = kernels;
    for (size_t i = 0; i < scaled.size(); ++i) {
      scaled[i] *= scale[i / static_cast<size_t>(9 * s.in_channels)];
    }
    for (const KernelUse use : {KernelUse::kOutput, KernelUse::kInputGradient}) {
      EXPECT_EQ(pack(use, s, kernels, scale.data()), pack(use, s, scaled));
    }
  }
}

TEST_P(WinogradTest, EqualsTheDefinition) {
  const OnlyTarget only(GetParam());
  for (const WinogradShape& s : kShapes) {
    SCOPED_TRACE(testing::Message() << s.height << "x" << s.width << ", " << s.in_channels << " to "
                                    << s.out_channels);
    const auto input = random_values(s.batch * s.height * s.width * s.in_channels, 1);
    const auto kernels = random_values(s.out_channels * 9 * s.in_channels, 2);
    const auto gradient =
        random_values(s.batch * s.out_height() * s.out_width() * s.out_channels, 3);
    const Direct truth = direct(s, input, kernels, gradient);
    const auto packed = pack(KernelUse::kOutput, s, kernels);
    const auto output = convolve(s, input, packed, s.tiles() / 2);
    EXPECT_LT(relative_error(output, truth.output), 5e-6);
    EXPECT_EQ(output, convolve(s, input, packed, 1));

    const WinogradShape back{s.batch,       s.out_height(),   s.out_width(),  s.out_channels,
                             s.in_channels, 2 - s.pad_height, 2 - s.pad_width};
    EXPECT_LT(
        relative_error(convolve(back, gradient, pack(KernelUse::kInputGradient, s, kernels), 1),
                       truth.input_gradient),
        5e-6);
    EXPECT_LT(relative_error(kernel_gradient(s, input, gradient), truth.kernel_gradient), 5e-6);
  }
}

TEST_P(WinogradTest, AddsABiasAndPassesAGate) {
  const OnlyTarget only(GetParam());
  const WinogradShape s{1, 6, 5, 8, 20, 1, 1};
  const auto input = random_values(s.batch * s.height * s.width * s.in_channels, 1);
  const auto packed =
      pack(KernelUse::kOutput, s, random_values(s.out_channels * 9 * s.in_channels, 2));
  const auto bias = random_values(s.out_channels, 3);
  const auto plain = convolve(s, input, packed, 2);
  const auto biased = convolve(s, input, packed, 2, {.bias = bias.data()});
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_NEAR(biased[i], plain[i] + bias[i % bias.size()], 1e-5);
  }
  const auto gate = random_values(static_cast<int64_t>(plain.size()), 4);
  const auto gated =
      convolve(s, input, packed, 2, {.gate = gate.data(), .gate_stride = s.out_channels});
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(gated[i], gate[i] > 0 ? plain[i] : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, WinogradTest, testing::ValuesIn(kernel_targets()),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace striate
