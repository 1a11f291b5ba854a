#include "kernels/direct_convolution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>
#include <vector>

#include "kernels/random_values.h"
#include "kernels/split_convolution.h"
#include "kernels/targets.h"
#include "kernels/tiles_allowed.h"

namespace striate {
namespace {

using kernels::BFloat16;
using kernels::ConvolutionShape;
using kernels::DirectConvolution;

// The ways to compute a convolution: of values of one type, by kernels packed in one type.
template <typename T>
struct Direct {
  using Value = T;
  using Packed = T;
  static int64_t packed_size(const ConvolutionShape& s) {
    return kernels::direct_packed_size<T>(s);
  }
  static int64_t scratch_size(const ConvolutionShape& s) {
    return kernels::direct_scratch_size<T>(s);
  }
  static void pack(const ConvolutionShape& s, const kernels::ConvolutionKernels& kernels, T* packed,
                   int64_t begin, int64_t end) {
    kernels::direct_pack<T>(s, kernels, packed, begin, end);
  }
  static void convolve(const ConvolutionShape& s, DirectConvolution<T> convolution, const T* packed,
                       int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end,
                       T* scratch) {
    convolution.packed = packed;
    kernels::direct_convolve<T>(s, convolution, row_begin, row_end, panel_begin, panel_end,
                                scratch);
  }
};

template <kernels::KernelUse use = kernels::KernelUse::kOutput>
struct Split {
  using Value = float;
  using Packed = BFloat16;
  static int64_t packed_size(const ConvolutionShape& s) {
    return kernels::split_packed_size(use, s);
  }
  static int64_t scratch_size(const ConvolutionShape& s) {
    return kernels::split_scratch_size(use, s);
  }
  static constexpr auto pack = kernels::split_pack;
  static void convolve(const ConvolutionShape& s, const DirectConvolution<float>& convolution,
                       const BFloat16* packed, int64_t row_begin, int64_t row_end,
                       int64_t panel_begin, int64_t panel_end, BFloat16* scratch) {
    kernels::split_convolve(use, s, convolution, packed, row_begin, row_end, panel_begin, panel_end,
                            scratch);
  }
};

int64_t panels_of(const ConvolutionShape& s) {
  return (s.out_channels - 1) / kernels::direct_panel() + 1;
}

// In two parts.
template <typename Way>
std::vector<typename Way::Packed> packed_by(const ConvolutionShape& s,
                                            const kernels::ConvolutionKernels& kernels) {
  std::vector<typename Way::Packed> result(static_cast<size_t>(Way::packed_size(s)));
  Way::pack(s, kernels, result.data(), 0, 1);
  Way::pack(s, kernels, result.data(), 1, panels_of(s));
  return result;
}

std::vector<float> powers_of_two(int64_t count) {
  std::vector<float> result;
  for (int64_t i = 0; i < count; ++i) {
    result.push_back(std::ldexp(1.0F, static_cast<int>(i % 5) - 2));
  }
  return result;
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
  std::vector<float> kernel_scale = powers_of_two(shape.out_channels);  // which round nothing
  std::vector<float> bias = random_values(shape.out_channels, 3);
  std::vector<float> residual = random_values(shape.rows() * output_stride, 4);
  std::vector<float> gate = random_values(shape.rows() * output_stride, 7);
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
  sum *= c.kernel_scale[static_cast<size_t>(k)];
  sum += c.bias[static_cast<size_t>(k)];
  sum += c.residual[static_cast<size_t>(row * c.output_stride + k)];
  return c.gate[static_cast<size_t>(row * c.output_stride + k)] <= 0 ? 0 : std::max(sum, 0.0);
}

// The nearest float with 8 significant bits.
float rounded(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16);
}

template <typename T>
std::vector<T> as(const std::vector<float>& values) {
  std::vector<T> result;
  for (const float value : values) {
    if constexpr (std::is_same_v<T, BFloat16>) {
      result.push_back({static_cast<uint16_t>(std::bit_cast<uint32_t>(rounded(value)) >> 16)});
    } else {
      result.push_back(value);
    }
  }
  return result;
}

float as_float(float value) {
  return value;
}

float as_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}

// In four parts: pixels before and from `cut`, output channels of the first panel and the others.
template <typename Way = Direct<float>>
std::vector<float> convolve(const Case& c, bool whole, int64_t cut) {
  using T = typename Way::Value;
  const ConvolutionShape& s = c.shape;
  const std::vector<T> input = as<T>(c.input);
  const std::vector<T> residual = as<T>(c.residual);
  const std::vector<T> gate = as<T>(c.gate);
  const auto packed =
      packed_by<Way>(s, {c.kernels.data(), whole ? c.kernel_scale.data() : nullptr});
  std::vector<T> output =
      as<T>(std::vector<float>(static_cast<size_t>(s.rows() * c.output_stride), -7.0F));
  std::vector<typename Way::Packed> scratch(static_cast<size_t>(Way::scratch_size(s)));
  DirectConvolution<T> convolution = {.input = input.data(),
                                      .input_stride = c.input_stride,
                                      .packed = nullptr,
                                      .epilogue = {},
                                      .output = output.data(),
                                      .output_stride = c.output_stride};
  if (whole) {
    convolution.epilogue = {.bias = c.bias.data(),
                            .residual = residual.data(),
                            .residual_stride = c.output_stride,
                            .relu = true,
                            .gate = gate.data(),
                            .gate_stride = c.output_stride};
    convolution.scale = s.is_pointwise() ? c.scale.data() : nullptr;
    convolution.shift = s.is_pointwise() ? c.shift.data() : nullptr;
  }
  for (const auto& [begin, end] : {std::pair{int64_t{0}, cut}, std::pair{cut, s.rows()}}) {
    Way::convolve(s, convolution, packed.data(), begin, end, 0, 1, scratch.data());
    Way::convolve(s, convolution, packed.data(), begin, end, 1, panels_of(s), scratch.data());
  }
  std::vector<float> result;
  for (const T value : output) result.push_back(as_float(value));
  return result;
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

// Those, and what tiles read otherwise: stacks of images in one go and in several, with strides,
// blocks of rows that are not whole, more channels than are finished at a time; pixels under the
// kernel that do not lie beside each other.
std::vector<ConvolutionShape> tile_shapes() {
  std::vector<ConvolutionShape> all = shapes();
  all.push_back(square(3, 7, 64, 96, 1, 1, 0));
  all.push_back(square(3, 9, 32, 40, 3, 1, 1));
  all.push_back(square(2, 13, 48, 33, 3, 2, 1));
  all.push_back(square(1, 6, 32, 300, 3, 1, 1));
  all.push_back(square(1, 50, 64, 32, 3, 1, 1));
  all.push_back(square(2, 8, 16, 20, 5, 3, 2));
  ConvolutionShape wide = square(1, 12, 40, 35, 3, 1, 2);
  wide.dilation_height = 2;
  wide.dilation_width = 2;
  all.push_back(wide);
  return all;
}

class DirectConvolutionTest : public testing::TestWithParam<int64_t> {};

// How far values are from the definition, relatively; none may stand between pixels.
double error_of(const Case& c, bool whole, const std::vector<float>& output) {
  double error = 0;
  double size = 1e-6;
  for (int64_t row = 0; row < c.shape.rows(); ++row) {
    for (int64_t k = 0; k < c.output_stride; ++k) {
      const float value = output[static_cast<size_t>(row * c.output_stride + k)];
      if (k >= c.shape.out_channels) {
        EXPECT_EQ(value, -7.0F) << "between pixels";
        continue;
      }
      const double wanted = truth(c, whole, row, k);
      error += (value - wanted) * (value - wanted);
      size += wanted * wanted;
    }
  }
  return std::sqrt(error / size);
}

TEST_P(DirectConvolutionTest, EqualsTheDefinition) {
  const OnlyTarget only(GetParam());
  for (const ConvolutionShape& s : shapes()) {
    const Case c{.shape = s};
    for (const bool whole : {false, true}) {
      SCOPED_TRACE(testing::Message() << s.height << "x" << s.width << ", " << s.in_channels
                                      << " to " << s.out_channels << (whole ? ", whole" : ""));
      const std::vector<float> output = convolve(c, whole, s.rows() / 2);
      EXPECT_LT(error_of(c, whole, output), 2e-6);
      EXPECT_EQ(output, convolve(c, whole, 1 % s.rows()));
    }
  }
}

// Of values that bfloat16 holds: what is left is the rounding of an output, and of inputs behind a
// batch-norm.
TEST_P(DirectConvolutionTest, EqualsTheDefinitionInBFloat16) {
  const OnlyTarget only(GetParam());
  for (const ConvolutionShape& s : tile_shapes()) {
    Case c{.shape = s};
    for (auto* values : {&c.input, &c.kernels, &c.residual}) {
      for (float& value : *values) value = rounded(value);
    }
    for (const bool tiles : ways_to_multiply()) {
      const TilesAllowed allowed(tiles);
      for (const bool whole : {false, true}) {
        SCOPED_TRACE(testing::Message()
                     << s.height << "x" << s.width << ", " << s.in_channels << " to "
                     << s.out_channels << (whole ? ", whole" : "") << (tiles ? ", tiles" : ""));
        const std::vector<float> output = convolve<Direct<BFloat16>>(c, whole, s.rows() / 2);
        EXPECT_LT(error_of(c, whole, output), whole ? 5e-3 : 2.5e-3);
        EXPECT_EQ(output, convolve<Direct<BFloat16>>(c, whole, 1 % s.rows()));
      }
    }
  }
}

TEST_P(DirectConvolutionTest, SplitEqualsTheDefinition) {
  const OnlyTarget only(GetParam());
  if (!kernels::splits_products()) GTEST_SKIP() << "without matrix tiles";
  for (const ConvolutionShape& s : tile_shapes()) {
    const Case c{.shape = s};
    for (const bool whole : {false, true}) {
      SCOPED_TRACE(testing::Message() << s.height << "x" << s.width << ", " << s.in_channels
                                      << " to " << s.out_channels << (whole ? ", whole" : ""));
      const std::vector<float> output = convolve<Split<>>(c, whole, s.rows() / 2);
      EXPECT_LT(error_of(c, whole, output), 2e-6);
      EXPECT_EQ(output, convolve<Split<>>(c, whole, 1 % s.rows()));
    }
  }
}

TEST_P(DirectConvolutionTest, KeepsWhatIsNotANumber) {
  const OnlyTarget only(GetParam());
  Case c{.shape = square(1, 2, 3, 4, 1, 1, 0)};
  c.gate[0] = 1;
  for (const float value : {std::nanf(""), HUGE_VALF}) {
    c.input[0] = value;
    const bool whole = std::isnan(value);  // a ReLU makes zero of -infinity
    std::vector<std::vector<float>> outputs = {convolve(c, whole, 1)};
    if (kernels::splits_products()) outputs.push_back(convolve<Split<>>(c, whole, 1));
    for (const auto& output : outputs) {
      EXPECT_FALSE(std::isfinite(output[0]));
      EXPECT_TRUE(std::isfinite(output[static_cast<size_t>(c.output_stride)]));
    }
  }
}

// What is not a number stays in its image, also where lines of the kernel are padded for tiles.
TEST_P(DirectConvolutionTest, KeepsImagesApart) {
  const OnlyTarget only(GetParam());
  if (!kernels::splits_products()) GTEST_SKIP() << "without matrix tiles";
  ConvolutionShape narrow = square(2, 1, 11, 4, 3, 1, 1);
  narrow.height = 3;
  for (const ConvolutionShape& s : {narrow, square(2, 9, 3, 4, 7, 1, 3)}) {
    Case c{.shape = s};
    std::fill_n(c.input.begin(), s.height * s.width * c.input_stride, std::nanf(""));
    const std::vector<float> output = convolve<Split<>>(c, false, s.rows());
    const int64_t second = s.rows() / 2;
    for (int64_t row = second; row < s.rows(); ++row) {
      EXPECT_TRUE(std::isfinite(output[static_cast<size_t>(row * c.output_stride)])) << row;
    }
    EXPECT_TRUE(std::isnan(output[0]));
  }
}

// What is added may lie where outputs go, also where sums are kept there in parts.
TEST_P(DirectConvolutionTest, WritesOverWhatItAdds) {
  const OnlyTarget only(GetParam());
  const auto check = []<typename Way>(const Case& c, Way) {
    using T = typename Way::Value;
    const ConvolutionShape& s = c.shape;
    const std::vector<T> input = as<T>(c.input);
    const auto packed = packed_by<Way>(s, {c.kernels.data()});
    std::vector<typename Way::Packed> scratch(static_cast<size_t>(Way::scratch_size(s)));
    const std::vector<T> residual = as<T>(c.residual);
    const auto convolved = [&](std::vector<T> output, const std::vector<T>& added) {
      Way::convolve(s,
                    {.input = input.data(),
                     .input_stride = c.input_stride,
                     .packed = nullptr,
                     .epilogue = {.bias = c.bias.data(),
                                  .residual = added.empty() ? output.data() : added.data(),
                                  .residual_stride = c.output_stride,
                                  .relu = true},
                     .output = output.data(),
                     .output_stride = c.output_stride},
                    packed.data(), 0, s.rows(), 0, panels_of(s), scratch.data());
      std::vector<float> values;
      for (int64_t row = 0; row < s.rows(); ++row) {
        for (int64_t k = 0; k < s.out_channels; ++k) {
          values.push_back(as_float(output[static_cast<size_t>(row * c.output_stride + k)]));
        }
      }
      return values;
    };
    EXPECT_EQ(convolved(residual, {}), convolved(residual, residual));
  };
  for (const ConvolutionShape& s : {square(1, 9, 64, 70, 3, 1, 1), square(1, 5, 300, 40, 3, 1, 1),
                                    square(1, 6, 96, 96, 1, 1, 0)}) {
    const Case c{.shape = s};
    check(c, Direct<float>());
    if (kernels::splits_products()) check(c, Split<>());
    for (const bool tiles : ways_to_multiply()) {
      const TilesAllowed allowed(tiles);
      check(c, Direct<BFloat16>());
    }
  }
}

template <typename Way>
std::vector<float> packed(const ConvolutionShape& s, const kernels::ConvolutionKernels& kernels) {
  std::vector<float> values;
  for (const auto value : packed_by<Way>(s, kernels)) values.push_back(as_float(value));
  return values;
}

// For the gradient of an input: as kernels whose taps are turned and whose channels are swapped.
TEST_P(DirectConvolutionTest, PacksTurnedKernels) {
  const OnlyTarget only(GetParam());
  for (const ConvolutionShape& s :
       {square(1, 5, 3, 37, 3, 1, 1), square(1, 5, 40, 64, 1, 1, 0), square(1, 5, 7, 5, 2, 1, 0)}) {
    const int64_t taps = s.kernel_height * s.kernel_width;
    // (in, taps, out) of the shape: the layer's own output channels come first.
    const auto kernels = random_values(s.out_channels * s.length(), 1);
    const auto scale = random_values(s.in_channels, 2);
    std::vector<float> turned(kernels.size());
    for (int64_t k = 0; k < s.in_channels; ++k) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        for (int64_t c = 0; c < s.out_channels; ++c) {
          turned[static_cast<size_t>((c * taps + taps - 1 - tap) * s.in_channels + k)] =
              kernels[static_cast<size_t>((k * taps + tap) * s.out_channels + c)] *
              scale[static_cast<size_t>(k)];
        }
      }
    }
    const kernels::ConvolutionKernels from{kernels.data(), scale.data(),
                                           kernels::KernelUse::kInputGradient};
    EXPECT_EQ(packed<Direct<float>>(s, from), packed<Direct<float>>(s, {turned.data()}));
    if (kernels::splits_products()) {
      // Of three parts of each panel, the gradient takes two.
      const auto gradient = packed<Split<kernels::KernelUse::kInputGradient>>(s, from);
      const auto all = packed<Split<>>(s, {turned.data()});
      std::vector<float> both;
      constexpr size_t kPart = 1024;
      for (size_t i = 0; i < all.size(); ++i) {
        if (i / kPart % 3 < 2) both.push_back(all[i]);
      }
      EXPECT_EQ(gradient, both);
    }
    for (const bool tiles : ways_to_multiply()) {
      const TilesAllowed allowed(tiles);
      EXPECT_EQ(packed<Direct<BFloat16>>(s, from), packed<Direct<BFloat16>>(s, {turned.data()}));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, DirectConvolutionTest, testing::ValuesIn(kernel_targets()),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace striate
