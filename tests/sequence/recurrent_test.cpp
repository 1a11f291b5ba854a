// Recurrent layers against their equations, torch.nn's numbers (tests/reference/README.md) and
// finite differences.
#include "striate/sequence/recurrent.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <filesystem>

#include "models/generated.h"
#include "striate/base/error.h"

namespace striate {
namespace {

// float64 on both sides; sums in another order.
constexpr double kRounding = 1e-12;
// Of a central difference with this step, in float64: its own error is of the order of step².
constexpr double kDifferenceStep = 1e-5;
constexpr double kDifferenceTolerance = 1e-8;

constexpr int64_t kSteps = 7, kBatch = 4, kInput = 3, kHidden = 5, kLayers = 2;
const std::vector<int64_t> kLengths = {3, 7, 1, 6};

const Weights& reference() {
  static const Weights file = read_weights(std::filesystem::path(STRIATE_SOURCE_DIR) /
                                           "tests/reference/recurrent.safetensors");
  return file;
}

at::Tensor quarter(const std::string& name, at::IntArrayRef shape) {
  return generated("input." + name, shape.vec()).to(at::kDouble) / 4;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

struct Case {
  std::string name;
  Cell cell;
  bool bidirectional = false;
  bool packed = false;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

std::unique_ptr<Recurrent> generated_layers(const Case& c, double dropout = 0) {
  auto layers = std::make_unique<Recurrent>(RecurrentOptions{.cell = c.cell,
                                                             .input_size = kInput,
                                                             .hidden_size = kHidden,
                                                             .layers = kLayers,
                                                             .bidirectional = c.bidirectional,
                                                             .dropout = dropout},
                                            1);
  layers->to(at::kDouble);
  at::NoGradGuard no_grad;
  for (const auto& item : layers->named_parameters()) {
    item.value().copy_(quarter(c.name + "." + item.key(), item.value().sizes()));
  }
  return layers;
}

// The inputs of a case, which require gradients.
struct Inputs {
  at::Tensor x;
  RecurrentState state;
};

Inputs inputs_of(const Case& c) {
  const int64_t depth = kLayers * (c.bidirectional ? 2 : 1);
  const auto leaf = [&](const char* name, at::IntArrayRef shape) {
    return quarter(c.name + "." + name, shape).requires_grad_();
  };
  Inputs inputs{.x = leaf("x", {kSteps, kBatch, kInput}),
                .state = {.h = leaf("h", {depth, kBatch, kHidden}), .c = {}}};
  if (c.cell == Cell::kLstm) inputs.state.c = leaf("c", {depth, kBatch, kHidden});
  return inputs;
}

RecurrentOutput run(Recurrent& layers, const Case& c, const Inputs& inputs) {
  return c.packed ? layers.forward(inputs.x, kLengths, inputs.state)
                  : layers.forward(inputs.x, inputs.state);
}

// The output by the visible equations, one step and one layer at a time.
RecurrentOutput by_equations(const Recurrent& layers, const at::Tensor& x,
                             const RecurrentState& start) {
  at::Tensor sequence = x;
  std::vector<at::Tensor> hs;
  std::vector<at::Tensor> cs;
  const bool lstm = layers.options().cell == Cell::kLstm;
  const int64_t directions = layers.options().bidirectional ? 2 : 1;
  for (int64_t layer = 0; layer < layers.options().layers; ++layer) {
    std::vector<at::Tensor> sides;
    for (int64_t direction = 0; direction < directions; ++direction) {
      const CellWeights weights = layers.weights(layer, direction == 1);
      const int64_t index = layer * directions + direction;
      RecurrentState state{.h = start.h[index], .c = lstm ? start.c[index] : at::Tensor()};
      std::vector<at::Tensor> ys(static_cast<size_t>(x.size(0)));
      for (int64_t k = 0; k < x.size(0); ++k) {
        const int64_t t = direction == 1 ? x.size(0) - 1 - k : k;
        switch (layers.options().cell) {
          case Cell::kRnn:
            state.h = rnn_step(sequence[t], state.h, weights);
            break;
          case Cell::kGru:
            state.h = gru_step(sequence[t], state.h, weights);
            break;
          case Cell::kLstm:
            state = lstm_step(sequence[t], state, weights);
            break;
        }
        ys[static_cast<size_t>(t)] = state.h;
      }
      sides.push_back(at::stack(ys));
      hs.push_back(state.h);
      if (lstm) cs.push_back(state.c);
    }
    sequence = at::cat(sides, 2);
  }
  return {.y = sequence, .state = {.h = at::stack(hs), .c = lstm ? at::stack(cs) : at::Tensor()}};
}

// A number that depends on every output, each in its own way.
at::Tensor score(const Case& c, const RecurrentOutput& out) {
  at::Tensor sum = (out.y * quarter(c.name + ".dy", out.y.sizes())).sum() +
                   (out.state.h * quarter(c.name + ".dh_n", out.state.h.sizes())).sum();
  if (!out.state.c.defined()) return sum;
  return sum + (out.state.c * quarter(c.name + ".dc_n", out.state.c.sizes())).sum();
}

// Every leaf by its name in the reference.
std::map<std::string, at::Tensor> leaves_of(const Recurrent& layers, const Inputs& inputs) {
  std::map<std::string, at::Tensor> leaves = {{"x", inputs.x}, {"h", inputs.state.h}};
  if (inputs.state.c.defined()) leaves["c"] = inputs.state.c;
  for (const auto& item : layers.named_parameters()) leaves[item.key()] = item.value();
  return leaves;
}

class EveryCell : public testing::TestWithParam<Case> {};
// The equations know no lengths.
class EveryWholeBatch : public EveryCell {};

TEST_P(EveryCell, ComputesWhatTorchComputes) {
  const Case& c = GetParam();
  const auto layers = generated_layers(c);
  const Inputs inputs = inputs_of(c);
  const RecurrentOutput out = run(*layers, c, inputs);
  const auto wanted = [&](const std::string& name) {
    return reference().tensors.at(c.name + "/" + name);
  };
  EXPECT_LT(distance(out.y, wanted("y")), kRounding);
  EXPECT_LT(distance(out.state.h, wanted("h_n")), kRounding);
  if (c.cell == Cell::kLstm) {
    EXPECT_LT(distance(out.state.c, wanted("c_n")), kRounding);
  }

  torch::autograd::backward({score(c, out)}, {});
  for (const auto& [name, leaf] : leaves_of(*layers, inputs)) {
    EXPECT_LT(distance(leaf.grad(), wanted("grad/" + name)), kRounding) << name;
  }
}

TEST_P(EveryWholeBatch, EqualsItsEquationsForwardAndBackward) {
  const Case& c = GetParam();
  const auto layers = generated_layers(c);
  const Inputs inputs = inputs_of(c);
  const auto leaves = leaves_of(*layers, inputs);
  std::vector<at::Tensor> tensors;
  for (const auto& [name, leaf] : leaves) tensors.push_back(leaf);

  const RecurrentOutput fast = layers->forward(inputs.x, inputs.state);
  const RecurrentOutput plain = by_equations(*layers, inputs.x, inputs.state);
  EXPECT_LT(distance(fast.y, plain.y), kRounding);
  EXPECT_LT(distance(fast.state.h, plain.state.h), kRounding);
  if (c.cell == Cell::kLstm) {
    EXPECT_LT(distance(fast.state.c, plain.state.c), kRounding);
  }

  const auto of_fast = torch::autograd::grad({score(c, fast)}, tensors);
  const auto of_plain = torch::autograd::grad({score(c, plain)}, tensors);
  size_t i = 0;
  for (const auto& [name, leaf] : leaves) {
    EXPECT_LT(distance(of_fast[i], of_plain[i]), kRounding) << name;
    ++i;
  }
}

TEST_P(EveryCell, HasTheGradientOfFiniteDifferences) {
  const Case& c = GetParam();
  const auto layers = generated_layers(c);
  const Inputs inputs = inputs_of(c);
  torch::autograd::backward({score(c, run(*layers, c, inputs))}, {});
  at::NoGradGuard no_grad;
  for (const auto& [name, leaf] : leaves_of(*layers, inputs)) {
    double* const values = leaf.data_ptr<double>();
    for (int64_t i = 0; i < leaf.numel(); i += 7) {
      const double before = values[i];
      values[i] = before + kDifferenceStep;
      const double above = score(c, run(*layers, c, inputs)).item<double>();
      values[i] = before - kDifferenceStep;
      const double below = score(c, run(*layers, c, inputs)).item<double>();
      values[i] = before;
      EXPECT_NEAR(leaf.grad().view(-1)[i].item<double>(), (above - below) / (2 * kDifferenceStep),
                  kDifferenceTolerance)
          << name << " " << i;
    }
  }
}

// Wide enough for what float32 does on its own; by one thread, and by two.
TEST_P(EveryWholeBatch, InFloat32IsTheSameToRounding) {
  const Case& c = GetParam();
  constexpr int64_t kWide = 40, kRows = 21;
  Recurrent layers({.cell = c.cell,
                    .input_size = kInput,
                    .hidden_size = kWide,
                    .layers = kLayers,
                    .bidirectional = c.bidirectional},
                   1);
  Recurrent precise(layers.options(), 1);
  precise.to(at::kDouble);
  const at::Tensor x = quarter("wide", {kSteps, kRows, kInput});
  const auto gradients = [&](Recurrent& of, const at::Tensor& input) {
    of.zero_grad();
    const RecurrentOutput out = of.forward(input);
    torch::autograd::backward({(out.y * out.y).sum() + out.state.h.sum()}, {});
    std::vector<at::Tensor> all = {out.y.detach(), input.grad().clone()};
    for (const at::Tensor& parameter : of.parameters()) all.push_back(parameter.grad().clone());
    return all;
  };
  const auto leaf = [](const at::Tensor& values) { return values.clone().requires_grad_(); };
  const auto wanted = gradients(precise, leaf(x));
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto alone = gradients(layers, leaf(x.to(at::kFloat)));
  at::set_num_threads(2);
  const auto both = gradients(layers, leaf(x.to(at::kFloat)));
  at::set_num_threads(threads);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double scale = wanted[i].abs().max().item<double>();
    EXPECT_LT(distance(alone[i].to(at::kDouble), wanted[i]), 2e-6 * (1 + scale)) << i;
    EXPECT_LT(distance(both[i].to(at::kDouble), wanted[i]), 2e-6 * (1 + scale)) << i;
  }
  EXPECT_TRUE(alone[0].equal(both[0]));
}

const auto kName = [](const auto& info) { return info.param.name; };

INSTANTIATE_TEST_SUITE_P(
    Cells, EveryWholeBatch,
    testing::Values(Case{"rnn_plain", Cell::kRnn}, Case{"rnn_bidirectional", Cell::kRnn, true},
                    Case{"lstm_plain", Cell::kLstm}, Case{"lstm_bidirectional", Cell::kLstm, true},
                    Case{"gru_plain", Cell::kGru}, Case{"gru_bidirectional", Cell::kGru, true}),
    kName);
INSTANTIATE_TEST_SUITE_P(
    Cells, EveryCell,
    testing::Values(Case{"rnn_plain", Cell::kRnn}, Case{"rnn_bidirectional", Cell::kRnn, true},
                    Case{"rnn_packed", Cell::kRnn, true, true}, Case{"lstm_plain", Cell::kLstm},
                    Case{"lstm_bidirectional", Cell::kLstm, true},
                    Case{"lstm_packed", Cell::kLstm, true, true}, Case{"gru_plain", Cell::kGru},
                    Case{"gru_bidirectional", Cell::kGru, true},
                    Case{"gru_packed", Cell::kGru, true, true}),
    kName);

TEST(Recurrent, APackedSequenceIsTheSequenceAlone) {
  const Case c{"gru_packed", Cell::kGru, true, true};
  const auto layers = generated_layers(c);
  const Inputs inputs = inputs_of(c);
  const RecurrentOutput batch = run(*layers, c, inputs);
  for (int64_t n = 0; n < kBatch; ++n) {
    const int64_t length = kLengths[static_cast<size_t>(n)];
    const at::Tensor x = inputs.x.slice(0, 0, length).slice(1, n, n + 1);
    const RecurrentOutput alone = layers->forward(x, {.h = inputs.state.h.slice(1, n, n + 1)});
    EXPECT_LT(distance(batch.y.slice(0, 0, length).select(1, n), alone.y.select(1, 0)), kRounding);
    EXPECT_LT(distance(batch.state.h.select(1, n), alone.state.h.select(1, 0)), kRounding);
    EXPECT_EQ(batch.y.slice(0, length).select(1, n).abs().sum().item<double>(), 0);
  }
}

TEST(Recurrent, DropsBetweenLayersInTrainingOnly) {
  const Case c{"lstm_plain", Cell::kLstm};
  const auto plain = generated_layers(c);
  const auto dropping = generated_layers(c, 0.5);
  const Inputs inputs = inputs_of(c);
  const RecurrentOutput whole = run(*plain, c, inputs);
  dropping->eval();
  EXPECT_TRUE(run(*dropping, c, inputs).y.equal(whole.y));
  dropping->train();
  const RecurrentOutput dropped = run(*dropping, c, inputs);
  EXPECT_GT(distance(dropped.y, whole.y), 1e-3);
  // The first layer knows nothing of it.
  EXPECT_LT(distance(dropped.state.h[0], whole.state.h[0]), kRounding);
}

TEST(Recurrent, TheSameSeedGivesTheSameWeightsWithinTheirBound) {
  const RecurrentOptions options{.cell = Cell::kGru, .input_size = 4, .hidden_size = 16};
  const Recurrent a(options, 7);
  const Recurrent b(options, 7);
  const Recurrent other(options, 8);
  EXPECT_TRUE(a.weights(0).w_ih.equal(b.weights(0).w_ih));
  EXPECT_FALSE(a.weights(0).w_ih.equal(other.weights(0).w_ih));
  EXPECT_LE(a.weights(0).w_hh.abs().max().item<double>(), 0.25);
  EXPECT_GT(a.weights(0).w_hh.abs().max().item<double>(), 0.2);
}

TEST(Recurrent, RefusesWhatDoesNotFit) {
  EXPECT_THROW(Recurrent({.input_size = 0, .hidden_size = 3}, 1), std::invalid_argument);
  EXPECT_THROW(Recurrent({.input_size = 3, .hidden_size = 3, .dropout = 1}, 1),
               std::invalid_argument);
  Recurrent layers({.input_size = 3, .hidden_size = 4}, 1);
  EXPECT_THROW(layers.forward(at::zeros({2, 1, 5})), ShapeError);
  EXPECT_THROW(layers.forward(at::zeros({0, 1, 3})), ShapeError);
  EXPECT_THROW(layers.forward(at::zeros({2, 1, 3}), {.h = at::zeros({1, 2, 4})}), ShapeError);
  EXPECT_THROW(layers.forward(at::zeros({2, 2, 3}), std::vector<int64_t>{2}), ShapeError);
  EXPECT_THROW(layers.forward(at::zeros({2, 2, 3}), std::vector<int64_t>{2, 0}), ShapeError);
  EXPECT_THROW(layers.forward(at::zeros({2, 2, 3}), std::vector<int64_t>{2, 3}), ShapeError);
}

}  // namespace
}  // namespace striate
