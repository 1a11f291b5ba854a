// DRAW against the paper's equations: closed forms in loops, finite differences, and numbers of a
// PyTorch implementation (tests/reference/README.md).
#include "striate/sequence/draw.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <filesystem>
#include <functional>

#include "models/generated.h"
#include "striate/base/error.h"
#include "striate/runtime/weights.h"

namespace striate {
namespace {

// float64 on both sides; sums in another order.
constexpr double kRounding = 1e-12;
// float32 over some steps, relative to numbers of about 100.
constexpr double kFloatRounding = 1e-4;
// Of a central difference with this step, in float64: its own error is of the order of step².
constexpr double kDifferenceStep = 1e-5;
constexpr double kDifferenceTolerance = 1e-7;

at::Tensor quarter(const std::string& name, at::IntArrayRef shape) {
  return generated("input." + name, shape.vec()).to(at::kDouble) / 4;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

// Every gradient of f by the leaves against central differences.
void expect_gradients(const std::vector<at::Tensor>& leaves, const std::function<at::Tensor()>& f) {
  for (const at::Tensor& leaf : leaves) leaf.mutable_grad().reset();
  torch::autograd::backward({f()}, {});
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < leaves.size(); ++i) {
    const at::Tensor values = leaves[i].view({-1});
    const at::Tensor gradient = leaves[i].grad().reshape({-1});
    double largest = 0;
    for (int64_t k = 0; k < values.size(0); ++k) {
      const double before = values[k].item<double>();
      values[k] = before + kDifferenceStep;
      const double above = f().item<double>();
      values[k] = before - kDifferenceStep;
      const double below = f().item<double>();
      values[k] = before;
      const double difference = (above - below) / (2 * kDifferenceStep);
      EXPECT_NEAR(gradient[k].item<double>(), difference, kDifferenceTolerance) << i << ", " << k;
      largest = std::max(largest, std::abs(difference));
    }
    EXPECT_GT(largest, 1e-3) << "nothing depends on leaf " << i;
  }
}

constexpr int64_t kBatch = 3, kHeight = 5, kWidth = 7, kSize = 3;

at::Tensor numbers(const std::string& name) {
  return quarter(name, {kBatch, 5}).requires_grad_();
}

TEST(FilterBank, IsTheClosedForm) {
  const at::Tensor of = numbers("numbers").detach();
  const FilterBank bank = filter_bank(of, kSize, kHeight, kWidth);
  for (int64_t n = 0; n < kBatch; ++n) {
    const auto value = [&](int64_t i) { return of[n][i].item<double>(); };
    EXPECT_NEAR(bank.gamma[n].item<double>(), std::exp(value(4)), kRounding);
    const double variance = std::exp(value(2));
    const double stride = 6.0 / 2.0 * std::exp(value(3));  // (max(7, 5) - 1) / (3 - 1)
    const auto expect = [&](const at::Tensor& filters, double g, int64_t extent) {
      ASSERT_EQ(filters.sizes(), at::IntArrayRef({kSize, extent}));
      const double center = (static_cast<double>(extent) + 1) / 2 * (g + 1);
      for (int64_t i = 1; i <= kSize; ++i) {
        const double mu = center + (static_cast<double>(i) - kSize / 2.0 - 0.5) * stride;
        double sum = 0;
        for (int64_t a = 1; a <= extent; ++a) {
          sum += std::exp(-std::pow(static_cast<double>(a) - mu, 2) / (2 * variance));
        }
        for (int64_t a = 1; a <= extent; ++a) {
          const double f = std::exp(-std::pow(static_cast<double>(a) - mu, 2) / (2 * variance));
          EXPECT_NEAR(filters[i - 1][a - 1].item<double>(), f / sum, kRounding);
        }
      }
    };
    expect(bank.fx[n], value(0), kWidth);
    expect(bank.fy[n], value(1), kHeight);
  }
}

TEST(FilterBank, HasRowsThatSumToOneHoweverFarOutside) {
  const at::Tensor far = at::tensor({100.0, -100.0, -8.0, 3.0, 0.0}, at::kDouble).unsqueeze(0);
  const FilterBank bank = filter_bank(far, kSize, kHeight, kWidth);
  EXPECT_LT(distance(bank.fx.sum(2), at::ones({1, kSize}, at::kDouble)), kRounding);
  EXPECT_LT(distance(bank.fy.sum(2), at::ones({1, kSize}, at::kDouble)), kRounding);
  EXPECT_NEAR(bank.fx[0][0][kWidth - 1].item<double>(), 1, kRounding);
  EXPECT_NEAR(bank.fy[0][0][0].item<double>(), 1, kRounding);
}

TEST(FilterBank, OfOneFilterHasAMiddleAndNoStride) {
  const FilterBank bank = filter_bank(at::zeros({1, 5}, at::kDouble), 1, kHeight, kWidth);
  EXPECT_EQ(bank.fx[0][0].argmax().item<int64_t>(), 3);
  EXPECT_EQ(bank.fy[0][0].argmax().item<int64_t>(), 2);
}

TEST(FilterBank, HasItsGradient) {
  const at::Tensor of = numbers("numbers");
  const at::Tensor dx = quarter("dfx", {kBatch, kSize, kWidth});
  const at::Tensor dy = quarter("dfy", {kBatch, kSize, kHeight});
  expect_gradients({of}, [&] {
    const FilterBank bank = filter_bank(of, kSize, kHeight, kWidth);
    return (bank.fx * dx).sum() + (bank.fy * dy).sum() + bank.gamma.sum();
  });
}

TEST(AttentionWindows, ReadAndWriteWhatTheSumsSay) {
  const at::Tensor of = numbers("numbers").detach();
  const FilterBank bank = filter_bank(of, kSize, kHeight, kWidth);
  const at::Tensor images = quarter("images", {kBatch, 2, kHeight, kWidth});
  const at::Tensor patches = quarter("patches", {kBatch, 2, kSize, kSize});
  const at::Tensor read = read_window(images, bank);
  const at::Tensor written = write_window(patches, bank);
  for (int64_t n = 0; n < kBatch; ++n) {
    for (int64_t c = 0; c < 2; ++c) {
      for (int64_t i = 0; i < kSize; ++i) {
        for (int64_t j = 0; j < kSize; ++j) {
          const at::Tensor weights = bank.fy[n][i].unsqueeze(1) * bank.fx[n][j].unsqueeze(0);
          EXPECT_NEAR(read[n][c][i][j].item<double>(),
                      (bank.gamma[n] * (weights * images[n][c]).sum()).item<double>(), kRounding);
        }
      }
      at::Tensor sum = at::zeros({kHeight, kWidth}, at::kDouble);
      for (int64_t i = 0; i < kSize; ++i) {
        for (int64_t j = 0; j < kSize; ++j) {
          sum += patches[n][c][i][j] * bank.fy[n][i].unsqueeze(1) * bank.fx[n][j].unsqueeze(0);
        }
      }
      EXPECT_LT(distance(written[n][c], sum / bank.gamma[n]), kRounding);
    }
  }
}

TEST(AttentionWindows, HaveTheirGradients) {
  const at::Tensor of = numbers("numbers");
  const at::Tensor images = quarter("images", {kBatch, 2, kHeight, kWidth}).requires_grad_();
  const at::Tensor patches = quarter("patches", {kBatch, 2, kSize, kSize}).requires_grad_();
  const at::Tensor dread = quarter("dread", patches.sizes());
  const at::Tensor dwritten = quarter("dwritten", images.sizes());
  expect_gradients({of, images}, [&] {
    return (read_window(images, filter_bank(of, kSize, kHeight, kWidth)) * dread).sum();
  });
  expect_gradients({of, patches}, [&] {
    return (write_window(patches, filter_bank(of, kSize, kHeight, kWidth)) * dwritten).sum();
  });
}

struct Case {
  std::string name;
  DrawOptions options;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

// Sides and windows of several sizes, so that an exchange of two shows.
const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"attention",
       {.channels = 1,
        .height = 5,
        .width = 7,
        .read_size = 2,
        .write_size = 3,
        .hidden_size = 4,
        .latent_size = 3,
        .steps = 3}},
      {"colour",
       {.channels = 3,
        .height = 6,
        .width = 4,
        .read_size = 3,
        .write_size = 2,
        .hidden_size = 5,
        .latent_size = 2,
        .steps = 2}},
      {"plain",
       {.channels = 1, .height = 4, .width = 3, .hidden_size = 4, .latent_size = 3, .steps = 3}}};
  return kCases;
}

struct Inputs {
  at::Tensor images;
  at::Tensor noise;
};

Inputs inputs_of(const Case& c) {
  const DrawOptions& o = c.options;
  return {.images = quarter(c.name + ".images", {kBatch, o.channels, o.height, o.width}) + 0.5,
          .noise = quarter(c.name + ".noise", {o.steps, kBatch, o.latent_size})};
}

std::unique_ptr<Draw> generated_draw(const Case& c) {
  auto draw = std::make_unique<Draw>(c.options, 1);
  draw->to(at::kDouble);
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : draw->tensors()) {
    tensor.copy_(quarter(c.name + "." + key, tensor.sizes()));
  }
  return draw;
}

std::vector<at::Tensor> leaves_of(const Draw& draw) {
  std::vector<at::Tensor> leaves;
  for (const auto& [key, tensor] : draw.tensors()) leaves.push_back(tensor);
  return leaves;
}

// A number that depends on every image's two parts, each in its own way.
at::Tensor score(const DrawBound& bound) {
  return (bound.reconstruction * at::tensor({0.5, 1.0, -0.7}, at::kDouble)).sum() +
         (bound.latent * at::tensor({1.0, -0.3, 0.8}, at::kDouble)).sum();
}

class EveryDraw : public testing::TestWithParam<Case> {};

TEST_P(EveryDraw, ByItsEquationsHasTheGradientOfDifferences) {
  const auto draw = generated_draw(GetParam());
  const Inputs in = inputs_of(GetParam());
  expect_gradients(leaves_of(*draw), [&] {
    return score(draw_by_equations(in.images, in.noise, draw->weights(), draw->options()));
  });
}

TEST_P(EveryDraw, ComputesItsEquationsForwardAndBackward) {
  const auto draw = generated_draw(GetParam());
  const Inputs in = inputs_of(GetParam());
  const auto gradients = [&](const DrawBound& bound) {
    for (const auto& [key, tensor] : draw->tensors()) tensor.mutable_grad().reset();
    torch::autograd::backward({score(bound)}, {});
    std::vector<at::Tensor> all;
    for (const auto& [key, tensor] : draw->tensors()) all.push_back(tensor.grad().clone());
    return all;
  };
  const DrawBound plain = draw_by_equations(in.images, in.noise, draw->weights(), draw->options());
  const DrawBound fast = draw->forward(in.images, in.noise);
  EXPECT_LT(distance(plain.reconstruction, fast.reconstruction), kRounding);
  EXPECT_LT(distance(plain.latent, fast.latent), kRounding);
  const auto wanted = gradients(plain);
  const auto got = gradients(fast);
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_LT(distance(wanted[i], got[i]), kRounding) << draw->tensors()[i].first;
  }
}

TEST_P(EveryDraw, ComputesWhatTorchComputes) {
  static const Weights reference =
      read_weights(std::filesystem::path(STRIATE_SOURCE_DIR) / "tests/reference/draw.safetensors");
  const std::string& name = GetParam().name;
  const auto draw = generated_draw(GetParam());
  const Inputs in = inputs_of(GetParam());
  const DrawBound bound = draw->forward(in.images, in.noise);
  EXPECT_LT(distance(bound.reconstruction, reference.tensors.at(name + "/reconstruction")),
            kRounding);
  EXPECT_LT(distance(bound.latent, reference.tensors.at(name + "/latent")), kRounding);
  torch::autograd::backward({score(bound)}, {});
  for (const auto& [key, tensor] : draw->tensors()) {
    EXPECT_LT(distance(tensor.grad(), reference.tensors.at(name + "/grad/" + key)), kRounding)
        << key;
  }
}

TEST_P(EveryDraw, RefusesWhatDoesNotFit) {
  const auto draw = generated_draw(GetParam());
  const Inputs in = inputs_of(GetParam());
  EXPECT_THROW(draw->forward(in.images.slice(2, 1), in.noise), ShapeError);
  EXPECT_THROW(draw->forward(in.images.flatten(2), in.noise), ShapeError);
  EXPECT_THROW(draw->forward(in.images, in.noise.slice(1, 1)), ShapeError);
  EXPECT_THROW(draw->forward(in.images, in.noise.slice(2, 1)), ShapeError);
  EXPECT_THROW(draw->draw(in.noise[0]), ShapeError);
  DrawOptions bad = GetParam().options;
  bad.read_size = bad.read_size == 0 ? 2 : 0;  // the other window stays as it is
  EXPECT_THROW(Draw(bad, 1), std::invalid_argument);
  bad = GetParam().options;
  bad.latent_size = 0;
  EXPECT_THROW(Draw(bad, 1), std::invalid_argument);
}

TEST_P(EveryDraw, PaintsWhatItsEquationsSay) {
  const auto draw = generated_draw(GetParam());
  const Inputs in = inputs_of(GetParam());
  // An encoder whose q is the prior hands the noise on as z.
  at::NoGradGuard no_grad;
  draw->weights().latent.zero_();
  draw->weights().latent_bias.zero_();
  const at::Tensor last = draw->draw(in.noise).canvases[-1];
  const DrawBound bound = draw->forward(in.images, in.noise);
  const at::Tensor by_canvas =
      -(in.images * last.log() + (1 - in.images) * (1 - last).log()).sum({1, 2, 3});
  EXPECT_LT(distance(by_canvas, bound.reconstruction), kRounding);
  EXPECT_LT(bound.latent.abs().max().item<double>(), kRounding);
}

TEST(LatentLoss, IsZeroAtThePriorAndTheClosedFormElsewhere) {
  const at::Tensor mu = at::tensor({0.0, 0.5, -2.0}, at::kDouble).unsqueeze(0);
  const at::Tensor log_sigma = at::tensor({0.0, 0.3, -1.0}, at::kDouble).unsqueeze(0);
  double wanted = 0;
  for (const auto& [m, s] : {std::pair{0.0, 0.0}, std::pair{0.5, 0.3}, std::pair{-2.0, -1.0}}) {
    wanted += 0.5 * (m * m + std::exp(2 * s) - 2 * s - 1);
  }
  EXPECT_NEAR(latent_loss(mu, log_sigma).item<double>(), wanted, kRounding);
  EXPECT_EQ(latent_loss(mu.slice(1, 0, 1), log_sigma.slice(1, 0, 1)).item<double>(), 0);
}

TEST_P(EveryDraw, InFloat32IsNearFloat64) {
  const auto draw = generated_draw(GetParam());
  const Inputs in = inputs_of(GetParam());
  const DrawBound exact = draw->forward(in.images, in.noise);
  draw->to(at::kFloat);
  const DrawBound single = draw->forward(in.images.to(at::kFloat), in.noise.to(at::kFloat));
  EXPECT_LT(distance(exact.reconstruction, single.reconstruction), kFloatRounding);
  EXPECT_LT(distance(exact.latent, single.latent), kFloatRounding);
}

INSTANTIATE_TEST_SUITE_P(Draw, EveryDraw, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace striate
