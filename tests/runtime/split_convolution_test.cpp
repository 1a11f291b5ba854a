#include "runtime/split_convolution.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <optional>

#include "kernels/tiles_allowed.h"
#include "runtime/convolution.h"
#include "striate/base/error.h"

namespace striate {
namespace {

double relative_error(const at::Tensor& value, const at::Tensor& truth) {
  return ((value.to(at::kDouble) - truth).norm() / truth.norm()).item<double>();
}

struct Case {
  Conv2d conv;
  std::vector<int64_t> input;
};

// More output channels than products and fewer; channels, products and pixels that fill no tile;
// chunks of pixels; strides, padding and dilation.
const std::vector<Case> kCases = {
    {{.out_channels = 256, .kernel_size = 1, .bias = false}, {2, 64, 14, 15}},
    {{.out_channels = 64, .kernel_size = 1}, {3, 256, 7, 7}},
    {{.out_channels = 40, .kernel_size = 1, .stride = 2, .bias = false}, {5, 70, 9, 12}},
    {{.out_channels = 64, .kernel_size = 3, .padding = 1}, {2, 64, 14, 14}},
    {{.out_channels = 96, .kernel_size = 3, .stride = 2, .padding = 1}, {3, 48, 13, 16}},
    {{.out_channels = 20, .kernel_size = 7, .stride = 2, .padding = 3}, {2, 3, 60, 45}},
    {{.out_channels = 33, .kernel_size = 3, .padding = 2, .dilation = 2}, {2, 35, 10, 11}},
    {{.out_channels = 48, .kernel_size = 5, .padding = 2}, {4, 130, 6, 6}},
    {{.out_channels = 32, .kernel_size = 1}, {1, 32, 80, 80}},
    {{.out_channels = 20, .kernel_size = 3, .padding = 1}, {1, 32, 67, 71}},
    {{.out_channels = 24, .kernel_size = 3, .stride = 2}, {1, 32, 137, 139}},
};

constexpr std::optional<ConvolutionAlgorithm> kOnTiles = std::nullopt;

// Convolves and derives, by the algorithm or on tiles whether they pay or not.
std::vector<at::Tensor> run(const Case& c, std::optional<ConvolutionAlgorithm> algorithm,
                            at::ScalarType type) {
  at::manual_seed(1);
  const auto leaf = [&](const at::Tensor& t) {
    return t.to(type).contiguous(at::MemoryFormat::ChannelsLast).detach().requires_grad_();
  };
  // Images of few channels whose gradient is wanted are convolved in another way.
  const bool images = c.input[1] < 5;
  const at::Tensor x = leaf(at::randn(c.input)).requires_grad_(!images);
  const at::Tensor w = leaf(at::randn(
      {c.conv.out_channels, c.input[1], c.conv.kernel_size.height, c.conv.kernel_size.width}));
  const at::Tensor b = at::randn({c.conv.out_channels}).to(type).detach().requires_grad_();
  const at::Tensor bias = c.conv.bias ? b : at::Tensor();
  const at::Tensor y = algorithm.has_value() ? convolve(c.conv, *algorithm, x, w, bias)
                                             : split_convolution(c.conv, x, w, bias);
  torch::autograd::backward({y}, {at::randn(y.sizes()).to(type)});
  std::vector<at::Tensor> results = {y.detach(), w.grad()};
  if (!images) results.push_back(x.grad());
  if (c.conv.bias) results.push_back(b.grad());
  return results;
}

class SplitConvolution : public testing::Test {
 protected:
  void SetUp() override {
    if (!kernels::multiplies_by_tiles()) GTEST_SKIP() << "the processor has no matrix tiles";
  }
};

TEST_F(SplitConvolution, EqualsFloat64WithItsGradients) {
  for (const Case& c : kCases) {
    const auto split = run(c, kOnTiles, at::kFloat);
    const auto truth = run(c, ConvolutionAlgorithm::kDirect, at::kDouble);
    ASSERT_EQ(split.size(), truth.size());
    EXPECT_TRUE(split[0].is_contiguous(at::MemoryFormat::ChannelsLast));
    for (size_t i = 0; i < truth.size(); ++i) {
      EXPECT_LT(relative_error(split[i], truth[i]), i == 0 ? 2e-6 : 6e-6)
          << "value " << i << " of " << c.input[1] << " to " << c.conv.out_channels;
    }
  }
}

TEST_F(SplitConvolution, IsTheSameForAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  for (const Case& c : kCases) {
    at::set_num_threads(1);
    const auto one = run(c, kOnTiles, at::kFloat);
    for (const int more : {2, 3}) {
      at::set_num_threads(more);
      const auto others = run(c, kOnTiles, at::kFloat);
      // Sums of a bias's gradient, and the gradients of strided inputs, are LibTorch's.
      const size_t ours = c.conv.stride == 1 && c.input[1] > 4 ? 3 : 2;
      for (size_t i = 0; i < ours; ++i) EXPECT_TRUE(one[i].equal(others[i])) << "value " << i;
    }
  }
  at::set_num_threads(threads);
}

TEST_F(SplitConvolution, IsChosenByItselfOnly) {
  const Case c{{.out_channels = 64, .kernel_size = 1}, {2, 64, 14, 14}};
  const auto split = run(c, ConvolutionAlgorithm::kAuto, at::kFloat)[0];
  EXPECT_FALSE(split.equal(run(c, ConvolutionAlgorithm::kDirect, at::kFloat)[0]));
  const TilesAllowed none(false);
  EXPECT_FALSE(split.equal(run(c, ConvolutionAlgorithm::kAuto, at::kFloat)[0]));
}

TEST_F(SplitConvolution, OfOtherKindsIsComputedOtherwise) {
  const at::Tensor x = at::zeros({4, 64, 9, 9});
  const at::Tensor w = at::zeros({32, 64, 3, 3});
  const Conv2d good{.out_channels = 32, .kernel_size = 3};
  EXPECT_TRUE(can_be_split(good, x, w));
  Conv2d grouped = good;
  grouped.groups = 2;
  EXPECT_FALSE(can_be_split(grouped, x, w));
  EXPECT_FALSE(can_be_split(good, x.to(at::kDouble), w));
  EXPECT_FALSE(can_be_split(good, x.to(at::kBFloat16), w));
  EXPECT_FALSE(can_be_split(good, x, w.to(at::kDouble)));
  EXPECT_FALSE(can_be_split(good, at::zeros({0, 64, 9, 9}), w));
  EXPECT_FALSE(can_be_split(good, at::zeros({4, 63, 9, 9}), w));
  EXPECT_FALSE(can_be_split(good, at::zeros({400, 64, 2, 2}), w)) << "smaller than the kernel";
  EXPECT_FALSE(can_be_split(good, at::zeros({1, 64, 9, 9}), w)) << "few outputs";
  const at::Tensor narrow = at::zeros({4, 32, 9, 9});
  EXPECT_FALSE(can_be_split(good, narrow, at::zeros({32, 32, 3, 3})));
  EXPECT_FALSE(can_be_split({.out_channels = 16, .kernel_size = 3}, x, at::zeros({16, 64, 3, 3})));
}

// 3x3 kernels of stride 1 go by Winograd's algorithm where that pays also beside tiles.
TEST_F(SplitConvolution, TakesWinogradWhereItPays) {
  const auto same = [](const Case& c) {
    return run(c, ConvolutionAlgorithm::kAuto, at::kFloat)[0].equal(
        run(c, ConvolutionAlgorithm::kWinograd, at::kFloat)[0]);
  };
  EXPECT_TRUE(same({{.out_channels = 128, .kernel_size = 3, .padding = 1}, {2, 128, 56, 56}}));
  EXPECT_FALSE(same({{.out_channels = 256, .kernel_size = 3, .padding = 1}, {4, 256, 7, 7}}));
}

// In PyTorch's layout, with some gradients only.
TEST_F(SplitConvolution, GivesTheGradientsThatAreWanted) {
  const Conv2d conv{.out_channels = 40, .kernel_size = 3, .padding = 1};
  at::manual_seed(1);
  const at::Tensor x = at::randn({2, 32, 12, 12});
  const at::Tensor w = at::randn({40, 32, 3, 3});
  const at::Tensor b = at::randn({40});
  const auto derive = [&](int wanted, at::ScalarType type, const auto& convolved) {
    std::vector<at::Tensor> leaves;
    for (const at::Tensor& t : {x, w, b}) {
      leaves.push_back(t.to(type).clone().requires_grad_(std::ssize(leaves) == wanted));
    }
    const at::Tensor y = convolved(leaves[0], leaves[1], leaves[2]);
    return torch::autograd::grad({y.square().sum()}, {leaves[static_cast<size_t>(wanted)]})[0];
  };
  for (int wanted = 0; wanted < 3; ++wanted) {
    const auto ours = derive(wanted, at::kFloat,
                             [&](const auto&... leaf) { return split_convolution(conv, leaf...); });
    const auto truth = derive(wanted, at::kDouble, [](const auto&... leaf) {
      return at::conv2d(leaf..., /*stride=*/1, /*padding=*/1);
    });
    EXPECT_LT(relative_error(ours, truth), 8e-6) << "of value " << wanted;
  }
}

TEST_F(SplitConvolution, RefusesASecondDerivative) {
  const at::Tensor x = at::randn({1, 32, 8, 8}).requires_grad_();
  const at::Tensor w = at::randn({16, 32, 3, 3}).requires_grad_();
  const at::Tensor y = split_convolution({.out_channels = 16, .kernel_size = 3}, x, w, {});
  EXPECT_THROW(torch::autograd::grad({y.square().sum()}, {x}, {}, std::nullopt,
                                     /*create_graph=*/true),
               Error);
}

}  // namespace
}  // namespace striate
