#include "kernels/direct_convolution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/targets.h"
#include "striate/base/random.h"

namespace striate {
namespace {

using kernels::ConvolutionShape;
using kernels::DirectConvolution;

std::vector<float> random_values(int64_t count, uint64_t seed) {
  Random random({seed});
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

// A convolution whose values lie among others: pixels further apart than they need be, but for
// images of three channels.
struct Case {
  ConvolutionShape shape;
  int64_t input_stride = shape.in_channels + (shape.in_channels == 3 ? 0 : 3);
  int64_t output_stride = shape.out_channels + 5;
  std::vector<float> input =
      random_values(shape.batch * shape.height * shape.width * input_stride, 1);
  std::vector<float> kernels = random_values(shape.out_channels * shape.length(), 2);
  std::vector<float> bias = random_values(shape.out_channels, 3);
  std::vector<float> residual = random_values(shape.rows() * output_stride, 4);
  std::vector<float> scale = random_values(shape.in_channels, 5);
  std::vector<float> shift = random_values(shape.in_channels, 6);
};

// The definition, in float64; with everything that can be in front of it and behind it, or nothing.
double truth(const Case& c, bool whole, int64_t row, int64_t k) {
  const ConvolutionShape& s = c.shape;
  const int64_t image = row / (s.out_height() * s.out_width());
  const int64_t y = row / s.out_width() % s.out_height() * s.stride_height - s.pad_height;
  const int64_t x = row % s.out_width() * s.stride_width - s.pad_width;
  double sum = 0;
  for (int64_t i = 0; i < s.kernel_height * s.kernel_width; ++i) {
    const int64_t from_y = y + i / s.kernel_width * s.dilation_height;
    const int64_t from_x = x + i % s.kernel_width * s.dilation_width;
    if (from_y < 0 || from_y >= s.height || from_x < 0 || from_x >= s.width) continue;
    for (int64_t channel = 0; channel < s.in_channels; ++channel) {
      const auto at = static_cast<size_t>(
          ((image * s.height + from_y) * s.width + from_x) * c.input_stride + channel);
      const auto j = static_cast<size_t>(channel);
      double value = c.input[at];
      if (whole && s.is_pointwise()) value = std::max(0.0, value * c.scale[j] + c.shift[j]);
      const auto kernel = static_cast<size_t>(k * s.length() + i * s.in_channels + channel);
      sum += value * c.kernels[kernel];
    }
  }
  if (!whole) return sum;
  sum += c.bias[static_cast<size_t>(k)];
  sum += c.residual[static_cast<size_t>(row * c.output_stride + k)];
  return std::max(sum, 0.0);
}

// In four parts: pixels before and from `cut`, output channels of the first panel and the others.
std::vector<float> convolve(const Case& c, bool whole, int64_t cut) {
  const ConvolutionShape& s = c.shape;
  const int64_t panels = (s.out_channels - 1) / kernels::direct_panel() + 1;
  std::vector<float> packed(static_cast<size_t>(kernels::direct_packed_size(s)));
  kernels::direct_pack(s, c.kernels.data(), packed.data(), 0, 1);
  kernels::direct_pack(s, c.kernels.data(), packed.data(), 1, panels);
  std::vector<float> output(static_cast<size_t>(s.rows() * c.output_stride), -7.0F);
  std::vector<float> scratch(static_cast<size_t>(kernels::direct_scratch_size(s)));
  DirectConvolution convolution = {.input = c.input.data(),
                                   .input_stride = c.input_stride,
                                   .packed = packed.data(),
                                   .epilogue = {},
                                   .output = output.data(),
                                   .output_stride = c.output_stride};
  if (whole) {
    convolution.epilogue = {.bias = c.bias.data(),
                            .residual = c.residual.data(),
                            .residual_stride = c.output_stride,
                            .relu = true};
    convolution.scale = s.is_pointwise() ? c.scale.data() : nullptr;
    convolution.shift = s.is_pointwise() ? c.shift.data() : nullptr;
  }
  for (const auto& [begin, end] : {std::pair{int64_t{0}, cut}, std::pair{cut, s.rows()}}) {
    kernels::direct_convolve(s, convolution, begin, end, 0, 1, scratch.data());
    kernels::direct_convolve(s, convolution, begin, end, 1, panels, scratch.data());
  }
  return output;
}

ConvolutionShape square(int64_t batch, int64_t size, int64_t in, int64_t out, int64_t kernel,
                        int64_t stride, int64_t pad) {
  return {.batch = batch,
          .height = size,
          .width = size,
          .in_channels = in,
          .out_channels = out,
          .kernel_height = kernel,
          .kernel_width = kernel,
          .stride_height = stride,
          .stride_width = stride,
          .pad_height = pad,
          .pad_width = pad};
}

// Whole and cut panels; kernels of 1x1, as a linear layer, and larger; sums in one part and in
// several; strides, dilation, sides of unlike sizes.
std::vector<ConvolutionShape> shapes() {
  ConvolutionShape unlike = square(2, 9, 5, 33, 3, 1, 1);
  unlike.width = 6;
  unlike.kernel_width = 2;
  unlike.stride_height = 2;
  unlike.dilation_height = 2;
  unlike.pad_width = 0;
  return {square(1, 1, 1, 1, 1, 1, 0),      square(3, 1, 2500, 40, 1, 1, 0),
          square(2, 5, 64, 64, 1, 1, 0),    square(1, 6, 20, 70, 1, 2, 0),
          square(2, 11, 3, 17, 7, 2, 3),    square(1, 7, 300, 31, 3, 2, 1),
          square(1, 10, 1024, 32, 1, 1, 0), unlike};
}

class DirectConvolutionTest : public testing::TestWithParam<int64_t> {};

TEST_P(DirectConvolutionTest, EqualsTheDefinition) {
  const OnlyTarget only(GetParam());
  for (const ConvolutionShape& s : shapes()) {
    const Case c{.shape = s};
    for (const bool whole : {false, true}) {
      SCOPED_TRACE(testing::Message() << s.height << "x" << s.width << ", " << s.in_channels
                                      << " to " << s.out_channels << (whole ? ", whole" : ""));
      const std::vector<float> output = convolve(c, whole, s.rows() / 2);
      double error = 0;
      double size = 1e-6;
      for (int64_t row = 0; row < s.rows(); ++row) {
        for (int64_t k = 0; k < c.output_stride; ++k) {
          const float value = output[static_cast<size_t>(row * c.output_stride + k)];
          if (k >= s.out_channels) {
            ASSERT_EQ(value, -7.0F) << "between pixels";
            continue;
          }
          const double wanted = truth(c, whole, row, k);
          error += (value - wanted) * (value - wanted);
          size += wanted * wanted;
        }
      }
      EXPECT_LT(std::sqrt(error / size), 2e-6);
      EXPECT_EQ(output, convolve(c, whole, 1 % s.rows()));
    }
  }
}

TEST_P(DirectConvolutionTest, KeepsWhatIsNotANumber) {
  const OnlyTarget only(GetParam());
  Case c{.shape = square(1, 2, 3, 4, 1, 1, 0)};
  c.input[0] = std::nanf("");
  const std::vector<float> output = convolve(c, true, 1);
  EXPECT_TRUE(std::isnan(output[0]));
  EXPECT_FALSE(std::isnan(output[static_cast<size_t>(c.output_stride)]));
}

INSTANTIATE_TEST_SUITE_P(Targets, DirectConvolutionTest, testing::ValuesIn(kernel_targets()),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace striate
