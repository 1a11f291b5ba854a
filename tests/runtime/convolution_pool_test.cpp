#include "runtime/convolution_pool.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>

#include "kernels/targets.h"
#include "striate/base/error.h"

namespace striate {
namespace {

struct Case {
  std::vector<int64_t> input;
  Conv2d conv;
  MaxPool2d pool;
};

// Grey, RGB and LeNet's channels; outputs of less than a vector, of one and of a cut one; rows that
// end in a tile; windows that touch, overlap and leave a rest.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const int64_t in : {1, 3, 6}) {
    for (const int64_t out : {6, 16, 21}) {
      all.push_back({{3, in, 32, 32}, {.out_channels = out, .kernel_size = 5}, {.kernel_size = 2}});
      all.push_back({{19, in, 9, 12},
                     {.out_channels = out, .kernel_size = 3, .padding = 1},
                     {.kernel_size = 3, .stride = 2}});
      all.push_back({{1, in, 6, 7},
                     {.out_channels = out, .kernel_size = 5, .padding = 2, .bias = false},
                     {.kernel_size = 3, .stride = 1}});
    }
  }
  return all;
}

struct Values {
  at::Tensor x, weight, bias;
};

Values made(const Case& c, at::ScalarType type) {
  at::manual_seed(1);
  const int64_t kernel = c.conv.kernel_size.height;
  const auto leaf = [&](const std::vector<int64_t>& sizes) {
    const at::Tensor t = at::randn(sizes).to(type);
    return (sizes.size() == 4 ? t.contiguous(at::MemoryFormat::ChannelsLast) : t).requires_grad_();
  };
  Values v{.x = leaf(c.input), .weight = leaf({c.conv.out_channels, c.input[1], kernel, kernel})};
  if (c.conv.bias) v.bias = leaf({c.conv.out_channels});
  return v;
}

at::Tensor by_libtorch(const Case& c, const Values& v) {
  const int64_t stride = c.pool.stride.value_or(c.pool.kernel_size).height;
  return at::max_pool2d(at::relu(at::conv2d(v.x, v.weight, v.bias, 1, c.conv.padding.height)),
                        c.pool.kernel_size.height, stride);
}

std::vector<at::Tensor> results(const Values& v, const at::Tensor& y) {
  at::manual_seed(2);
  torch::autograd::backward({y}, {at::randn(y.sizes()).to(y.scalar_type())});
  std::vector<at::Tensor> all = {y.detach(), v.x.grad(), v.weight.grad()};
  if (v.bias.defined()) all.push_back(v.bias.grad());
  return all;
}

class ConvolutionPoolTest : public testing::TestWithParam<int64_t> {};

TEST_P(ConvolutionPoolTest, EqualsItsPartsInFloat64) {
  const OnlyTarget only(GetParam());
  constexpr double kRounding = 1e-6;
  for (const Case& c : cases()) {
    const Shape image = {c.input[1], c.input[2], c.input[3]};
    ASSERT_TRUE(can_convolve_and_pool(c.conv, c.pool, image));
    const Values v = made(c, at::kFloat);
    const Values exact = made(c, at::kDouble);
    const auto ours = results(v, convolve_and_pool(c.conv, c.pool, v.x, v.weight, v.bias));
    const auto truth = results(exact, by_libtorch(c, exact));
    for (size_t i = 0; i < truth.size(); ++i) {
      ASSERT_EQ(ours[i].sizes(), truth[i].sizes());
      const double error =
          ((ours[i].to(at::kDouble) - truth[i]).norm() / truth[i].norm()).item<double>();
      EXPECT_LT(error, kRounding) << "input " << c.input << ", " << c.conv.out_channels
                                  << " outputs, result " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, ConvolutionPoolTest, testing::ValuesIn(kernel_targets()));

const Case kLeNet{{4, 1, 32, 32}, {.out_channels = 6, .kernel_size = 5}, {.kernel_size = 2}};

TEST(ConvolutionPool, GivesTheSameBitsForAnyNumberOfThreads) {
  std::vector<std::vector<at::Tensor>> all;
  const int before = at::get_num_threads();
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    const Values v = made(kLeNet, at::kFloat);
    all.push_back(results(v, convolve_and_pool(kLeNet.conv, kLeNet.pool, v.x, v.weight, v.bias)));
  }
  at::set_num_threads(before);
  for (size_t i = 0; i < all[0].size(); ++i) EXPECT_TRUE(all[0][i].equal(all[1][i])) << i;
}

// Of equal values the first counts, as in LibTorch, and none where the ReLU is shut.
TEST(ConvolutionPool, SendsTheGradientOfEqualValuesWhereLibTorchDoes) {
  for (const double level : {1.0, 0.0, -1.0}) {
    Values ours = made(kLeNet, at::kFloat);
    Values theirs = made(kLeNet, at::kFloat);
    for (const Values* v : {&ours, &theirs}) {
      at::NoGradGuard no_grad;
      v->x.zero_();
      v->bias.fill_(level);
    }
    const auto a =
        results(ours, convolve_and_pool(kLeNet.conv, kLeNet.pool, ours.x, ours.weight, ours.bias));
    const auto b = results(theirs, by_libtorch(kLeNet, theirs));
    for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].allclose(b[i], 1e-5, 1e-5)) << level;
  }
}

TEST(ConvolutionPool, WhatIsNoNumberPasses) {
  const Values v = made(kLeNet, at::kFloat);
  at::NoGradGuard no_grad;
  v.x[1][0][9][9] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor y = convolve_and_pool(kLeNet.conv, kLeNet.pool, v.x, v.weight, v.bias);
  EXPECT_TRUE(y.isnan().equal(by_libtorch(kLeNet, v).isnan()));
  EXPECT_TRUE(y.isnan().any().item<bool>());
}

TEST(ConvolutionPool, HasAFirstDerivativeOnly) {
  const Values v = made(kLeNet, at::kFloat);
  const at::Tensor y = convolve_and_pool(kLeNet.conv, kLeNet.pool, v.x, v.weight, v.bias);
  EXPECT_THROW(
      torch::autograd::grad({y.sum()}, {v.x}, {}, /*retain_graph=*/true, /*create_graph=*/true),
      Error);
}

TEST(ConvolutionPool, LeavesWhatItDoesNotFitToOthers) {
  const Conv2d conv = kLeNet.conv;
  const MaxPool2d pool = kLeNet.pool;
  EXPECT_FALSE(can_convolve_and_pool(conv, pool, {64, 32, 32}));
  EXPECT_FALSE(can_convolve_and_pool(conv, pool, {1, 5, 5}));  // no window
  EXPECT_FALSE(can_convolve_and_pool({.out_channels = 64, .kernel_size = 5}, pool, {1, 32, 32}));
  EXPECT_FALSE(can_convolve_and_pool({.out_channels = 6, .kernel_size = 7}, pool, {1, 32, 32}));
  EXPECT_FALSE(
      can_convolve_and_pool({.out_channels = 6, .kernel_size = 5, .stride = 2}, pool, {1, 32, 32}));
  EXPECT_FALSE(can_convolve_and_pool(conv, {.kernel_size = 2, .padding = 1}, {1, 32, 32}));
  EXPECT_FALSE(can_convolve_and_pool(conv, {.kernel_size = 2, .ceil_mode = true}, {1, 32, 32}));
  EXPECT_FALSE(can_convolve_and_pool(conv, {.kernel_size = {2, 3}}, {1, 32, 32}));
}

}  // namespace
}  // namespace striate
