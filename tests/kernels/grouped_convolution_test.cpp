#include "kernels/grouped_convolution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/random_values.h"
#include "kernels/targets.h"

namespace striate {
namespace {

using kernels::GroupedShape;
using kernels::GroupedUse;

// Values of a layer: images channels last, kernels (channels, 3, 3, group_channels).
struct Layer {
  explicit Layer(const GroupedShape& s)
      : shape(s),
        input(random_values(s.batch * s.height * s.width * s.channels, 1)),
        kernels(random_values(s.channels * 9 * s.group_channels, 2)),
        gradient(random_values(s.out_rows() * s.out_width() * s.channels, 3)) {}

  GroupedShape shape;
  std::vector<float> input;
  std::vector<float> kernels;
  std::vector<float> gradient;  // of the output
};

// The definition of a convolution and of its gradients, in float64.
struct Direct {
  std::vector<double> output;
  std::vector<double> input_gradient;
  std::vector<double> kernel_gradient;
};

Direct direct(const Layer& layer) {
  const GroupedShape& s = layer.shape;
  Direct result{std::vector<double>(layer.gradient.size()), std::vector<double>(layer.input.size()),
                std::vector<double>(layer.kernels.size())};
  for (int64_t at = 0; at < s.out_rows() * s.out_width() * 9; ++at) {
    const int64_t pixel = at / 9;
    const int64_t tap = at % 9;
    const int64_t n = pixel / (s.out_height() * s.out_width());
    const int64_t y = pixel / s.out_width() % s.out_height() * s.stride + tap / 3 - s.pad_height;
    const int64_t x = pixel % s.out_width() * s.stride + tap % 3 - s.pad_width;
    if (y < 0 || y >= s.height || x < 0 || x >= s.width) continue;
    for (int64_t k = 0; k < s.channels; ++k) {
      const auto out = static_cast<size_t>(pixel * s.channels + k);
      for (int64_t c = 0; c < s.group_channels; ++c) {
        const int64_t channel = k / s.group_channels * s.group_channels + c;
        const auto in =
            static_cast<size_t>(((n * s.height + y) * s.width + x) * s.channels + channel);
        const auto kernel = static_cast<size_t>((k * 9 + tap) * s.group_channels + c);
        result.output[out] += static_cast<double>(layer.input[in]) * layer.kernels[kernel];
        result.input_gradient[in] +=
            static_cast<double>(layer.gradient[out]) * layer.kernels[kernel];
        result.kernel_gradient[kernel] +=
            static_cast<double>(layer.gradient[out]) * layer.input[in];
      }
    }
  }
  return result;
}

// The largest error, relative to the root of the mean square.
double relative_error(const std::vector<float>& values, const std::vector<double>& truth) {
  double error = 0;
  double squares = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    error = std::max(error, std::abs(values[i] - truth[i]));
    squares += truth[i] * truth[i];
  }
  return error / std::sqrt(squares / static_cast<double>(truth.size()));
}

std::vector<float> scratch(int64_t size) {
  return std::vector<float>(static_cast<size_t>(size), 5.0F);
}

std::vector<float> pack(GroupedUse use, const Layer& layer) {
  const GroupedShape& s = layer.shape;
  std::vector<float> packed(static_cast<size_t>(kernels::grouped_packed_size(s)), 5.0F);
  const int64_t units = kernels::grouped_units(s);
  kernels::grouped_pack(use, s, layer.kernels.data(), packed.data(), 0, units / 2);
  kernels::grouped_pack(use, s, layer.kernels.data(), packed.data(), units / 2, units);
  return packed;
}

// In two parts, cut at row `cut`.
std::vector<float> convolve(const Layer& layer, int64_t cut,
                            const kernels::GroupedEpilogue& epilogue = {}) {
  const GroupedShape& s = layer.shape;
  const std::vector<float> packed = pack(GroupedUse::kOutput, layer);
  std::vector<float> output(layer.gradient.size(), -7.0F);
  std::vector<float> memory = scratch(kernels::grouped_scratch_size(s));
  for (const auto& [begin, end] : {std::pair{int64_t{0}, cut}, std::pair{cut, s.out_rows()}}) {
    kernels::grouped_convolve(s, layer.input.data(), packed.data(), epilogue, output.data(), begin,
                              end, memory.data());
  }
  return output;
}

std::vector<float> input_gradient(const Layer& layer, int64_t cut) {
  const GroupedShape& s = layer.shape;
  const std::vector<float> packed = pack(GroupedUse::kInputGradient, layer);
  std::vector<float> result(layer.input.size(), -7.0F);
  std::vector<float> memory = scratch(kernels::grouped_scratch_size(s));
  const int64_t rows = s.batch * s.height;
  for (const auto& [begin, end] : {std::pair{int64_t{0}, cut}, std::pair{cut, rows}}) {
    kernels::grouped_input_gradient(s, layer.gradient.data(), packed.data(), result.data(), begin,
                                    end, memory.data());
  }
  return result;
}

// As two sums, with units cut in two.
std::vector<float> kernel_gradient(const Layer& layer) {
  const GroupedShape& s = layer.shape;
  const int64_t size = kernels::grouped_packed_size(s);
  const int64_t units = kernels::grouped_units(s);
  std::vector<double> sums(static_cast<size_t>(2 * size));
  std::vector<float> memory = scratch(kernels::grouped_kernel_gradient_scratch_size(s));
  const int64_t cut = s.out_rows() / 2;
  for (const auto& [begin, end] : {std::pair{int64_t{0}, units / 2}, std::pair{units / 2, units}}) {
    kernels::grouped_add_kernel_gradient(s, layer.input.data(), layer.gradient.data(),
                                         {0, cut, begin, end}, sums.data(), memory.data());
    kernels::grouped_add_kernel_gradient(s, layer.input.data(), layer.gradient.data(),
                                         {cut, s.out_rows(), begin, end}, sums.data() + size,
                                         memory.data());
  }
  std::vector<float> result(layer.kernels.size(), -7.0F);
  kernels::grouped_finish_kernel_gradient(s, sums.data(), 2, result.data(), 0, units / 2);
  kernels::grouped_finish_kernel_gradient(s, sums.data(), 2, result.data(), units / 2, units);
  return result;
}

// batch, height, width, channels, channels of a group, stride, padding: whole and cut blocks,
// vectors with channels missing, more pixels than are added in float32, every stride and padding.
const std::vector<GroupedShape> kShapes = {
    {1, 3, 3, 4, 4, 1, 0, 0},    {2, 5, 7, 12, 4, 1, 1, 1},   {1, 9, 6, 20, 4, 2, 1, 1},
    {1, 30, 29, 32, 4, 1, 1, 1}, {2, 27, 28, 16, 4, 2, 1, 1}, {2, 8, 8, 8, 8, 1, 1, 1},
    {1, 7, 16, 40, 8, 2, 0, 1},  {1, 10, 9, 24, 8, 2, 0, 0},  {3, 7, 7, 32, 16, 1, 1, 1},
    {2, 6, 5, 32, 16, 2, 1, 0},  {2, 7, 7, 64, 32, 1, 1, 1},  {1, 8, 6, 32, 32, 2, 1, 1},
    {1, 5, 17, 32, 32, 1, 0, 1}, {1, 4, 4, 128, 64, 1, 1, 0}, {1, 1, 1, 16, 8, 1, 1, 1},
    {9, 2, 3, 16, 4, 2, 1, 1},   {13, 7, 7, 16, 8, 1, 1, 1},
};

class GroupedConvolutionTest : public testing::TestWithParam<int64_t> {};

TEST_P(GroupedConvolutionTest, EqualsTheDefinition) {
  const OnlyTarget only(GetParam());
  for (const GroupedShape& s : kShapes) {
    SCOPED_TRACE(testing::Message() << s.height << "x" << s.width << ", " << s.channels << " by "
                                    << s.group_channels << ", stride " << s.stride);
    const Layer layer(s);
    const Direct truth = direct(layer);
    const auto output = convolve(layer, s.out_rows() / 2);
    EXPECT_LT(relative_error(output, truth.output), 5e-6);
    EXPECT_EQ(output, convolve(layer, 1));
    const auto gradient = input_gradient(layer, s.batch * s.height / 2);
    EXPECT_LT(relative_error(gradient, truth.input_gradient), 5e-6);
    EXPECT_EQ(gradient, input_gradient(layer, 1));
    EXPECT_LT(relative_error(kernel_gradient(layer), truth.kernel_gradient), 5e-6);
  }
}

TEST_P(GroupedConvolutionTest, AddsABiasAndCutsBelowZero) {
  const OnlyTarget only(GetParam());
  const Layer layer({1, 6, 5, 20, 4, 1, 1, 1});
  const auto bias = random_values(layer.shape.channels, 4);
  const auto plain = convolve(layer, 2);
  const auto biased = convolve(layer, 2, {.bias = bias.data()});
  const auto cut = convolve(layer, 2, {.bias = bias.data(), .relu = true});
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_NEAR(biased[i], plain[i] + bias[i % bias.size()], 1e-5);
    EXPECT_EQ(cut[i], std::max(0.0F, biased[i]));
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, GroupedConvolutionTest, testing::ValuesIn(kernel_targets()),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace striate
