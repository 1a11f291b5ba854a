#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "runtime/op_cases.h"
#include "striate/runtime/fused_network.h"
#include "striate/runtime/gradient_network.h"
#include "striate/runtime/network.h"

namespace striate {
namespace {

// float64 throughout: what differs then is the order of a few hundred additions.
constexpr double kForwardTolerance = 1e-12;
// Central differences with a step of 1e-5: truncation 1e-10, rounding 1e-16 / 1e-5.
constexpr double kStep = 1e-5;
constexpr double kGradientTolerance = 1e-7;

// A network that runs a case on one image whose channels hold all of the case's inputs.
struct CaseNetwork {
  explicit CaseNetwork(const OpCase& test) : network(graph_of(test), 1), inputs(inputs_of(test)) {
    network.to(at::kDouble);
    at::NoGradGuard no_grad;
    for (const auto& [key, tensor] : network.tensors()) {
      if (tensor.is_floating_point() && key.find("running") == std::string::npos) {
        tensor.copy_(at::randn_like(tensor));
      }
    }
  }

  // Flat values; slices and views bring each input into its shape inside the graph's own input.
  static Graph graph_of(const OpCase& test) {
    Graph graph(test.name, test.inputs.size() == 1 ? test.inputs[0] : joined(test));
    std::vector<Value> values;
    if (test.inputs.size() == 1) {
      values.push_back(graph.input());
    } else {
      int64_t before = 0;
      for (const Shape& shape : test.inputs) {
        // A 1x1 convolution with a table that picks this input's channels.
        std::vector<std::vector<int64_t>> rows;
        for (int64_t c = 0; c < shape[0]; ++c) rows.push_back({before + c});
        values.push_back(Scope(graph).conv2d(
            "pick" + std::to_string(values.size()), graph.input(),
            {.out_channels = shape[0], .kernel_size = 1, .bias = false, .connections = rows}));
        before += shape[0];
      }
    }
    graph.set_output("y", graph.append("op", test.op, values));
    return graph;
  }

  static Shape joined(const OpCase& test) {
    Shape shape = test.inputs[0];
    shape[0] = 0;
    for (const Shape& input : test.inputs) shape[0] += input[0];
    return shape;
  }

  static at::Tensor inputs_of(const OpCase& test) {
    Shape shape = test.inputs.size() == 1 ? test.inputs[0] : joined(test);
    shape.insert(shape.begin(), test.batch);
    return at::randn(shape, at::kDouble);
  }

  // What reaches the operator: the input itself, or the parts that were picked.
  std::vector<at::Tensor> operands() {
    const auto& nodes = network.graph().nodes();
    if (nodes.size() == 2) return {inputs};
    ForwardOptions options;
    for (size_t i = 1; i + 1 < nodes.size(); ++i) options.taps.push_back(nodes[i].name);
    const NamedValues values = network.forward(inputs, options);
    std::vector<at::Tensor> result;
    for (const std::string& name : options.taps) result.push_back(values.at(name).clone());
    return result;
  }

  std::map<std::string, at::Tensor> weights() const {
    std::map<std::string, at::Tensor> result;
    for (const auto& [key, tensor] : network.tensors()) {
      if (key.starts_with("op.")) result[key.substr(3)] = tensor;
    }
    return result;
  }

  Network network;
  at::Tensor inputs;
};

class Operators : public testing::TestWithParam<OpCase> {
 protected:
  void SetUp() override { at::manual_seed(3); }
};

TEST_P(Operators, HaveTheInferredShape) {
  CaseNetwork test(GetParam());
  const at::Tensor y = test.network.forward(test.inputs);
  EXPECT_EQ(y.sizes().slice(1).vec(), test.network.graph().nodes().back().shape);
}

TEST_P(Operators, EqualTheirReference) {
  CaseNetwork test(GetParam());
  test.network.train();
  const at::Tensor y = test.network.forward(test.inputs);
  const at::Tensor expected = GetParam().reference(test.operands(), test.weights());
  ASSERT_EQ(y.sizes(), expected.sizes());
  EXPECT_LT((y - expected).abs().max().item<double>(), kForwardTolerance);
}

// Alone in a fused network, which takes float32; within its rounding.
TEST_P(Operators, PredictTheSameFused) {
  CaseNetwork test(GetParam());
  test.network.eval();
  at::NoGradGuard no_grad;
  const at::Tensor truth = test.network.forward(test.inputs);
  test.network.to(at::kFloat);
  const at::Tensor fused = FusedNetwork(test.network).forward(test.inputs.to(at::kFloat));
  ASSERT_EQ(fused.sizes(), truth.sizes());
  EXPECT_LT((fused - truth).norm().item<double>(), 1e-5 * (1 + truth.norm().item<double>()));
}

// Its inputs' gradient alone, in float32.
TEST_P(Operators, GiveTheSameGradientOfImages) {
  CaseNetwork test(GetParam());
  test.network.eval();
  const at::Tensor x = test.inputs.clone().requires_grad_();
  const at::Tensor y = test.network.forward(x);
  const at::Tensor weights = at::randn_like(y);
  const at::Tensor truth = torch::autograd::grad({(y * weights).sum()}, {x})[0];
  test.network.to(at::kFloat);
  for (const auto algorithm : {ConvolutionAlgorithm::kDirect, ConvolutionAlgorithm::kWinograd}) {
    test.network.set_execution({.convolution = algorithm});
    GradientNetwork fast(test.network);
    const at::Tensor value = fast.forward(test.inputs.to(at::kFloat));
    const at::Tensor gradient = fast.backward(weights.to(at::kFloat));
    ASSERT_EQ(gradient.sizes(), truth.sizes());
    EXPECT_LT((value - y).norm().item<double>(), 1e-5 * (1 + y.norm().item<double>()));
    EXPECT_LT((gradient - truth).norm().item<double>(), 1e-5 * (1 + truth.norm().item<double>()))
        << to_string(algorithm);
  }
}

// The gradient along a random direction of everything at once: input and weights.
TEST_P(Operators, HaveTheGradientOfFiniteDifferences) {
  CaseNetwork test(GetParam());
  test.network.train();
  std::vector<at::Tensor> variables = {test.inputs.requires_grad_()};
  for (size_t i = 0; i < test.network.specs().size(); ++i) {
    if (test.network.specs()[i].kind == TensorSpec::Kind::kParameter) {
      variables.push_back(test.network.tensors()[i].second);
    }
  }
  const at::Tensor y = test.network.forward(test.inputs);
  const at::Tensor weights = at::randn_like(y);
  const auto gradients = torch::autograd::grad({(y * weights).sum()}, variables);

  at::NoGradGuard no_grad;
  for (size_t v = 0; v < variables.size(); ++v) {
    const at::Tensor direction = at::randn_like(variables[v]);
    const at::Tensor before = variables[v].clone();
    const auto loss_at = [&](double step) {
      variables[v].copy_(before + step * direction);
      return (test.network.forward(test.inputs) * weights).sum().item<double>();
    };
    const double numeric = (loss_at(kStep) - loss_at(-kStep)) / (2 * kStep);
    variables[v].copy_(before);
    const double analytic = (gradients[v] * direction).sum().item<double>();
    EXPECT_NEAR(analytic, numeric, kGradientTolerance * (1 + std::abs(numeric)))
        << "variable " << v;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, Operators, testing::ValuesIn(op_cases()),
                         [](const testing::TestParamInfo<OpCase>& info) {
                           std::string name = info.param.name;
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

TEST(OperatorTable, HasEveryOperatorButInputAndThoseThatDrawLots) {
  std::set<size_t> seen;
  for (const OpCase& test : op_cases()) seen.insert(test.op.index());
  for (const Op& op : {Op(Input{{1}}), Op(Dropout{}), Op(StochasticDepth{})}) {
    seen.insert(op.index());
  }
  EXPECT_EQ(seen.size(), std::variant_size_v<Op>);
}

TEST(Dropout, ScalesWhatItKeepsInTrainingAndIsOffInEvaluation) {
  Graph graph("net", {1000});
  graph.set_output("y", Scope(graph).dropout(graph.input(), {.p = 0.25}));
  Network network(graph, 1);
  const at::Tensor x = at::ones({20, 1000});
  at::manual_seed(1);
  network.train();
  const at::Tensor y = network.forward(x);
  const double kept = y.ne(0).to(at::kDouble).mean().item<double>();
  // Five standard errors of 20,000 draws.
  EXPECT_NEAR(kept, 0.75, 5 * std::sqrt(0.25 * 0.75 / 20000));
  EXPECT_NEAR(y.max().item<double>(), 1 / 0.75, 1e-6);
  network.eval();
  EXPECT_TRUE(network.forward(x).equal(x));
}

}  // namespace
}  // namespace striate
