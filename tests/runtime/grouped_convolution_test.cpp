#include "runtime/grouped_convolution.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "runtime/convolution.h"
#include "striate/base/error.h"

namespace striate {
namespace {

// The largest error, relative to the root of the mean square.
double relative_error(const at::Tensor& value, const at::Tensor& truth) {
  return ((value.to(at::kDouble) - truth).abs().max() / truth.square().mean().sqrt())
      .item<double>();
}

struct Case {
  Conv2d conv;
  std::vector<int64_t> input;
};

Case make_case(int64_t group_channels, int64_t stride, std::vector<int64_t> input, bool bias) {
  return {{.out_channels = input[1],
           .kernel_size = 3,
           .stride = stride,
           .padding = 1,
           .groups = input[1] / group_channels,
           .bias = bias},
          input};
}

const std::vector<Case> kCases = {
    make_case(4, 1, {2, 128, 14, 15}, false), make_case(4, 2, {3, 24, 9, 12}, true),
    make_case(8, 1, {2, 64, 28, 28}, true),   make_case(8, 2, {2, 256, 14, 14}, false),
    make_case(16, 1, {5, 64, 7, 7}, false),   make_case(16, 2, {1, 96, 13, 6}, true),
    make_case(32, 1, {3, 128, 7, 7}, true),   make_case(32, 2, {2, 64, 14, 14}, false),
};

struct Values {
  at::Tensor x;
  at::Tensor w;
  at::Tensor b;  // undefined if the convolution has none
};

Values values(const Case& c, at::ScalarType type) {
  at::manual_seed(1);
  const auto leaf = [&](const at::Tensor& t) {
    return t.to(type).contiguous(t.suggest_memory_format()).detach().requires_grad_();
  };
  const auto last = [](const at::Tensor& t) {
    return t.contiguous(at::MemoryFormat::ChannelsLast);
  };
  const int64_t in = c.input[1] / c.conv.groups;
  return {leaf(last(at::randn(c.input))), leaf(last(at::randn({c.conv.out_channels, in, 3, 3}))),
          c.conv.bias ? leaf(at::randn({c.conv.out_channels})) : at::Tensor()};
}

// Convolves and derives, in float32 by the algorithm or in float64 by LibTorch.
std::vector<at::Tensor> run(const Case& c, ConvolutionAlgorithm algorithm, at::ScalarType type) {
  const Values v = values(c, type);
  const at::Tensor y = convolve(c.conv, algorithm, v.x, v.w, v.b);
  const at::Tensor to = at::randn(y.sizes()).to(type);
  torch::autograd::backward({y}, {to});
  std::vector<at::Tensor> results = {y.detach(), v.x.grad(), v.w.grad()};
  if (c.conv.bias) results.push_back(v.b.grad());
  return results;
}

TEST(GroupedConvolution, EqualsFloat64WithItsGradients) {
  for (const Case& c : kCases) {
    const auto grouped = run(c, ConvolutionAlgorithm::kAuto, at::kFloat);
    const auto truth = run(c, ConvolutionAlgorithm::kDirect, at::kDouble);
    ASSERT_EQ(grouped.size(), truth.size());
    for (size_t i = 0; i < truth.size(); ++i) {
      EXPECT_LT(relative_error(grouped[i], truth[i]), 5e-6)
          << "value " << i << " of " << c.conv.groups << " groups";
    }
  }
}

TEST(GroupedConvolution, IsChosenUnlessTheAlgorithmIsDirect) {
  const Case c = make_case(4, 1, {2, 128, 14, 14}, false);
  const Values v = values(c, at::kFloat);
  const at::Tensor grouped = grouped_convolution(c.conv, v.x, v.w, v.b);
  EXPECT_TRUE(grouped.equal(run(c, ConvolutionAlgorithm::kAuto, at::kFloat)[0]));
  EXPECT_TRUE(grouped.equal(run(c, ConvolutionAlgorithm::kWinograd, at::kFloat)[0]));
  EXPECT_TRUE(at::conv2d(v.x, v.w, {}, 1, 1, 1, c.conv.groups)
                  .equal(run(c, ConvolutionAlgorithm::kDirect, at::kFloat)[0]));
}

TEST(GroupedConvolution, IsTheSameForAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  for (const Case& c : kCases) {
    at::set_num_threads(1);
    const auto one = run(c, ConvolutionAlgorithm::kAuto, at::kFloat);
    for (const int more : {2, 3}) {
      at::set_num_threads(more);
      const auto others = run(c, ConvolutionAlgorithm::kAuto, at::kFloat);
      for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(one[i].equal(others[i])) << "value " << i;
    }
  }
  at::set_num_threads(threads);
}

TEST(GroupedConvolution, RefusesASecondDerivative) {
  const Case c = make_case(4, 1, {1, 16, 8, 8}, false);
  const Values v = values(c, at::kFloat);
  const at::Tensor y = grouped_convolution(c.conv, v.x, v.w, v.b);
  EXPECT_THROW(torch::autograd::grad({y.square().sum()}, {v.x}, {}, std::nullopt,
                                     /*create_graph=*/true),
               Error);
}

TEST(GroupedConvolution, OfOtherKindsIsLibTorchs) {
  const Case good = make_case(4, 1, {2, 16, 9, 9}, false);
  const auto can_be = [&](const auto& change) {
    Case c = good;
    change(c);
    return can_be_grouped(c.conv, at::zeros(c.input));
  };
  EXPECT_TRUE(can_be([](Case&) {}));
  EXPECT_FALSE(can_be([](Case& c) { c.conv.groups = 1; }));
  EXPECT_FALSE(can_be([](Case& c) { c.conv.groups = 8; }));
  EXPECT_FALSE(can_be([](Case& c) { c.conv.out_channels = 32; }));
  EXPECT_FALSE(can_be([](Case& c) { c.conv.kernel_size = 5; }));
  EXPECT_FALSE(can_be([](Case& c) { c.conv.kernel_size = {1, 3}; }));
  EXPECT_FALSE(can_be([](Case& c) { c.conv.stride = 3; }));
  EXPECT_FALSE(can_be([](Case& c) { c.conv.stride = {1, 2}; }));
  EXPECT_FALSE(can_be([](Case& c) { c.conv.padding = {1, 2}; }));
  EXPECT_FALSE(can_be([](Case& c) { c.conv.dilation = 2; }));
  EXPECT_FALSE(can_be([](Case& c) { c.input[0] = 0; }));
  EXPECT_FALSE(can_be_grouped(good.conv, at::zeros(good.input, at::kDouble)));
}

TEST(GroupedConvolution, WithoutGradientsIsTheSameOfAPackedWeight) {
  const at::NoGradGuard no_grad;
  for (const Case& c : kCases) {
    const Values v = values(c, at::kFloat);
    const at::Tensor plain = grouped_convolution(c.conv, v.x, v.w, v.b);
    GroupedInference inference{.packed = pack_grouped(c.conv, v.w), .bias = v.b};
    EXPECT_TRUE(grouped_convolve(c.conv, v.x, inference).equal(plain));
    inference.relu = true;
    EXPECT_TRUE(grouped_convolve(c.conv, v.x, inference).equal(plain.relu()));
  }
}

}  // namespace
}  // namespace striate
