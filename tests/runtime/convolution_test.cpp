#include "runtime/convolution.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/tiles_allowed.h"
#include "runtime/image_convolution.h"
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

// Convolves and derives, in float32 by the algorithm or in float64 by LibTorch.
std::vector<at::Tensor> run(const Case& c, ConvolutionAlgorithm algorithm, at::ScalarType type) {
  at::manual_seed(1);
  const int64_t in = c.input[1] / c.conv.groups;
  const auto leaf = [&](at::Tensor t) {
    return t.to(type).contiguous(at::MemoryFormat::ChannelsLast).detach().requires_grad_();
  };
  const at::Tensor x = leaf(at::randn(c.input));
  const at::Tensor w = leaf(
      at::randn({c.conv.out_channels, in, c.conv.kernel_size.height, c.conv.kernel_size.width}));
  const at::Tensor b = at::randn({c.conv.out_channels}).to(type).detach().requires_grad_();
  const at::Tensor y = convolve(c.conv, algorithm, x, w, c.conv.bias ? b : at::Tensor());
  const at::Tensor to = at::randn(y.sizes()).to(type);
  torch::autograd::backward({y}, {to});
  std::vector<at::Tensor> results = {y.detach(), x.grad(), w.grad()};
  if (c.conv.bias) results.push_back(b.grad());
  return results;
}

const std::vector<Case> kCases = {
    {{.out_channels = 64, .kernel_size = 3, .padding = 1}, {2, 64, 14, 14}},
    {{.out_channels = 20, .kernel_size = 3, .padding = 1, .bias = false}, {3, 7, 9, 11}},
    {{.out_channels = 33, .kernel_size = 3}, {1, 40, 13, 6}},
    {{.out_channels = 16, .kernel_size = 3, .padding = 2}, {2, 16, 5, 5}},
};

TEST(Convolution, ByWinogradEqualsFloat64WithItsGradients) {
  for (const Case& c : kCases) {
    const auto winograd = run(c, ConvolutionAlgorithm::kWinograd, at::kFloat);
    const auto truth = run(c, ConvolutionAlgorithm::kDirect, at::kDouble);
    ASSERT_EQ(winograd.size(), truth.size());
    for (size_t i = 0; i < truth.size(); ++i) {
      EXPECT_LT(relative_error(winograd[i], truth[i]), 5e-6) << "value " << i;
    }
  }
}

TEST(Convolution, ChoosesWinogradWhereItPays) {
  const TilesAllowed none(false);
  const Case large{{.out_channels = 64, .kernel_size = 3, .padding = 1}, {2, 64, 28, 28}};
  const Case small{{.out_channels = 512, .kernel_size = 3, .padding = 1}, {1, 512, 3, 3}};
  const auto same = [](const Case& c, ConvolutionAlgorithm algorithm) {
    return run(c, ConvolutionAlgorithm::kAuto, at::kFloat)[0].equal(
        run(c, algorithm, at::kFloat)[0]);
  };
  EXPECT_TRUE(same(large, ConvolutionAlgorithm::kWinograd));
  EXPECT_FALSE(same(large, ConvolutionAlgorithm::kDirect));
  EXPECT_TRUE(same(small, ConvolutionAlgorithm::kDirect));
}

// Images in bfloat16 beside weights in float32: what is left is the rounding of images, outputs and
// their gradients.
TEST(Convolution, OfBFloat16IsFloat64Rounded) {
  for (const Case& c : kCases) {
    at::manual_seed(1);
    const auto round = [](const at::Tensor& t) { return t.to(at::kBFloat16).to(at::kDouble); };
    const auto layout = at::MemoryFormat::ChannelsLast;
    const at::Tensor image = at::randn(c.input).contiguous(layout);
    const at::Tensor weight = at::randn({c.conv.out_channels, c.input[1], 3, 3}).contiguous(layout);
    const auto derive = [&](ConvolutionAlgorithm algorithm, const at::Tensor& x,
                            const at::Tensor& w) {
      x.requires_grad_();
      w.requires_grad_();
      const at::Tensor y = convolve(c.conv, algorithm, x, w, at::ones({w.size(0)}, w.options()));
      at::manual_seed(2);
      torch::autograd::backward({y}, {at::randn(y.sizes()).to(at::kBFloat16).to(y.scalar_type())});
      return std::vector<at::Tensor>{y.detach(), x.grad(), w.grad()};
    };
    const auto truth = derive(ConvolutionAlgorithm::kDirect, round(image), weight.to(at::kDouble));
    for (const auto algorithm : {ConvolutionAlgorithm::kDirect, ConvolutionAlgorithm::kWinograd}) {
      const auto half = derive(algorithm, image.to(at::kBFloat16), weight.clone().detach());
      EXPECT_EQ(half[0].scalar_type(), at::kBFloat16);
      EXPECT_EQ(half[1].scalar_type(), at::kBFloat16);
      EXPECT_EQ(half[2].scalar_type(), at::kFloat);
      // Direct, the weights are rounded, too.
      const double bound = algorithm == ConvolutionAlgorithm::kDirect ? 6e-3 : 2.5e-3;
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_LT(relative_error(half[i], truth[i]), bound) << "value " << i;
      }
    }
  }
}

// What Winograd's algorithm can't do is LibTorch's, whatever is asked for.
TEST(Convolution, OfOtherKindsIsDirect) {
  for (const Conv2d& conv : {Conv2d{.out_channels = 8, .kernel_size = 3, .stride = 2},
                             Conv2d{.out_channels = 8, .kernel_size = 3, .dilation = 2},
                             Conv2d{.out_channels = 8, .kernel_size = 3, .groups = 2},
                             Conv2d{.out_channels = 8, .kernel_size = 3, .padding = 3},
                             Conv2d{.out_channels = 8, .kernel_size = 5}}) {
    const Case c{conv, {2, 4, 9, 9}};
    const auto asked = run(c, ConvolutionAlgorithm::kWinograd, at::kFloat);
    const auto direct = run(c, ConvolutionAlgorithm::kDirect, at::kFloat);
    for (size_t i = 0; i < direct.size(); ++i) EXPECT_TRUE(asked[i].equal(direct[i]));
  }
}

TEST(Convolution, ByWinogradIsTheSameForAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  for (const Case& c : kCases) {
    at::set_num_threads(1);
    const auto one = run(c, ConvolutionAlgorithm::kWinograd, at::kFloat);
    at::set_num_threads(3);
    const auto three = run(c, ConvolutionAlgorithm::kWinograd, at::kFloat);
    for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(one[i].equal(three[i])) << "value " << i;
  }
  at::set_num_threads(threads);
}

// Of images with few channels.
const std::vector<Case> kImageCases = {
    {{.out_channels = 64, .kernel_size = 7, .stride = 2, .padding = 3, .bias = false},
     {2, 3, 90, 75}},
    {{.out_channels = 16, .kernel_size = 11, .stride = 4, .padding = 2}, {1, 3, 67, 67}},
    {{.out_channels = 24, .kernel_size = 3, .stride = 2}, {3, 4, 33, 20}},
    {{.out_channels = 8, .kernel_size = {3, 5}, .padding = {0, 4}, .dilation = {2, 3}},
     {2, 3, 40, 18}},
    {{.out_channels = 8, .kernel_size = 2, .stride = 3}, {2, 2, 10, 11}},
    {{.out_channels = 8, .kernel_size = 1, .stride = 40}, {1, 3, 100, 7}},
};

TEST(Convolution, OfImagesEqualsFloat64WithItsGradients) {
  for (const Case& c : kImageCases) {
    const at::Tensor images =
        at::zeros(c.input).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_();
    EXPECT_TRUE(wants_image_gradient(c.conv, images));
    EXPECT_FALSE(wants_image_gradient(c.conv, images.detach()));
    const auto ours = run(c, ConvolutionAlgorithm::kAuto, at::kFloat);
    const auto truth = run(c, ConvolutionAlgorithm::kDirect, at::kDouble);
    EXPECT_LT(relative_error(ours[1], truth[1]), 1e-6);
    for (size_t i = 0; i < truth.size(); ++i) {
      EXPECT_LT(relative_error(ours[i], truth[i]), 3e-6) << "value " << i;
    }
  }
}

TEST(Convolution, OfImagesIsTheSameForAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  for (const Case& c : kImageCases) {
    at::set_num_threads(1);
    const auto one = run(c, ConvolutionAlgorithm::kAuto, at::kFloat);
    at::set_num_threads(3);
    const auto three = run(c, ConvolutionAlgorithm::kAuto, at::kFloat);
    EXPECT_TRUE(one[1].equal(three[1]));
  }
  at::set_num_threads(threads);
}

TEST(Convolution, ByWinogradRefusesASecondDerivative) {
  const at::Tensor x = at::randn({1, 16, 8, 8}).requires_grad_();
  const at::Tensor w = at::randn({16, 16, 3, 3}).requires_grad_();
  const at::Tensor y =
      convolve({.out_channels = 16, .kernel_size = 3}, ConvolutionAlgorithm::kWinograd, x, w, {});
  EXPECT_THROW(torch::autograd::grad({y.square().sum()}, {x}, {}, std::nullopt,
                                     /*create_graph=*/true),
               Error);
}

}  // namespace
}  // namespace striate
