#include "runtime/normalization.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "striate/base/error.h"

namespace striate {
namespace {

struct Case {
  std::vector<int64_t> input;
  bool shortcut;
  bool relu;
};

struct Values {
  at::Tensor x, shortcut, weight, bias, mean, var, gradient;
};

Values made(const Case& c, at::ScalarType type) {
  at::manual_seed(1);
  const int64_t channels = c.input[1];
  const auto image = [&](double offset) {
    const at::Tensor t = at::randn(c.input) + offset;
    return t.to(type).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_();
  };
  Values v;
  v.x = image(3);
  v.shortcut = c.shortcut ? image(0) : at::Tensor();
  v.weight = (at::rand({channels}) + 0.5).to(type).requires_grad_();
  v.bias = at::randn({channels}).to(type).requires_grad_();
  v.mean = at::randn({channels}).to(type);
  v.var = at::rand({channels}).to(type) + 0.5;
  v.gradient = at::randn(c.input).to(type);
  return v;
}

constexpr double kMomentum = 0.1;
constexpr double kEps = 1e-5;

FusedNorm norm_of(const Values& v, const Case& c) {
  return {.weight = v.weight,
          .bias = v.bias,
          .running_mean = v.mean,
          .running_var = v.var,
          .momentum = kMomentum,
          .eps = kEps,
          .relu = c.relu};
}

at::Tensor by_libtorch(const Values& v, const Case& c) {
  at::Tensor y =
      at::batch_norm(v.x, v.weight, v.bias, v.mean, v.var, /*training=*/true, kMomentum, kEps,
                     /*cudnn_enabled=*/false);
  if (c.shortcut) y = y + v.shortcut;
  return c.relu ? at::relu(y) : y;
}

std::vector<at::Tensor> results(const Values& v, const at::Tensor& y) {
  torch::autograd::backward({y}, {v.gradient});
  std::vector<at::Tensor> all = {y.detach(), v.mean,          v.var,
                                 v.x.grad(), v.weight.grad(), v.bias.grad()};
  if (v.shortcut.defined()) all.push_back(v.shortcut.grad());
  return all;
}

double relative_error(const at::Tensor& value, const at::Tensor& truth) {
  return ((value.to(at::kDouble) - truth).norm() / truth.norm()).item<double>();
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto& shape : {std::vector<int64_t>{2, 3, 5, 7},
                            {4, 64, 14, 14},
                            {3, 100, 9, 9},
                            {2, 2048, 3, 1},
                            {8, 16, 40, 40}}) {
    for (const bool shortcut : {false, true}) {
      for (const bool relu : {false, true}) all.push_back({shape, shortcut, relu});
    }
  }
  return all;
}

TEST(Normalization, EqualsFloat64WithItsGradients) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(testing::Message() << c.input << " shortcut " << c.shortcut << " relu " << c.relu);
    const Values fused = made(c, at::kFloat);
    const Values truth = made(c, at::kDouble);
    const auto a = results(fused, normalize(norm_of(fused, c), fused.x, fused.shortcut));
    const auto b = results(truth, by_libtorch(truth, c));
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < b.size(); ++i) {
      EXPECT_LT(relative_error(a[i], b[i]), 1e-5) << "value " << i;
    }
  }
}

TEST(Normalization, KeepsWhatIsNotANumber) {
  for (const Case& c : cases()) {
    const Values v = made(c, at::kFloat);
    at::NoGradGuard no_grad;
    v.x.select(0, 0).select(0, 0).fill_(std::nanf(""));
    EXPECT_TRUE(normalize(norm_of(v, c), v.x, v.shortcut).isnan().any().item<bool>());
  }
}

TEST(Normalization, IsTheSameForAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  for (const Case& c : cases()) {
    std::vector<std::vector<at::Tensor>> runs;
    for (const int count : {1, 3}) {
      at::set_num_threads(count);
      const Values v = made(c, at::kFloat);
      runs.push_back(results(v, normalize(norm_of(v, c), v.x, v.shortcut)));
    }
    for (size_t i = 0; i < runs[0].size(); ++i) {
      EXPECT_TRUE(runs[0][i].equal(runs[1][i])) << "value " << i;
    }
  }
  at::set_num_threads(threads);
}

TEST(Normalization, RefusesASecondDerivative) {
  const Case c{{2, 4, 3, 3}, false, true};
  const Values v = made(c, at::kFloat);
  const at::Tensor y = normalize(norm_of(v, c), v.x, {});
  EXPECT_THROW(torch::autograd::grad({y.square().sum()}, {v.x}, {}, std::nullopt,
                                     /*create_graph=*/true),
               Error);
}

}  // namespace
}  // namespace striate
