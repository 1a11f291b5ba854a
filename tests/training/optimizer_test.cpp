#include "striate/training/optimizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/generated.h"
#include "striate/base/error.h"
#include "striate/models/models.h"
#include "striate/runtime/network.h"
#include "striate/training/losses.h"
#include "striate/training/schedule.h"

namespace striate {
namespace {

// Both sides in float64. Ten steps of a network in training mode amplify the order of additions.
constexpr double kTolerance = 1e-7;

const Json& reference() {
  static const Json json = read_json(STRIATE_SOURCE_DIR "/tests/reference/training.json");
  return json;
}

OptimizerOptions optimizer_of(const Json& run) {
  OptimizerOptions options;
  const auto kind = run["optimizer"].get<std::string>();
  options.kind = kind == "sgd"    ? OptimizerOptions::Kind::kSgd
                 : kind == "adam" ? OptimizerOptions::Kind::kAdam
                                  : OptimizerOptions::Kind::kAdamW;
  options.learning_rate = run["learning_rate"].get<double>();
  options.momentum = run.value("momentum", 0.0);
  options.nesterov = run.value("nesterov", false);
  options.weight_decay = run.value("weight_decay", 0.0);
  options.decay_biases_and_scales = !run.value("decay_only_more_than_one_axis", false);
  return options;
}

ScheduleOptions schedule_of(const Json& run) {
  if (!run.contains("schedule")) return {};
  // One step an epoch.
  return {.kind = ScheduleOptions::Kind::kCosine,
          .warmup_epochs = run["warmup_steps"].get<double>(),
          .milestones = {}};
}

at::Tensor loss_of(const Json& run, const at::Tensor& logits, const at::Tensor& labels) {
  if (run["loss"].get<std::string>() == "lecun1998_eq9") {
    return losses::lenet5(logits, labels, run["j"].get<double>());
  }
  return losses::cross_entropy(logits, labels, run.value("label_smoothing", 0.0));
}

at::Tensor labels_of_step(int64_t step, int64_t batch) {
  return (at::arange(batch, at::kLong) + step).remainder(10);
}

class TenSteps : public testing::TestWithParam<std::string> {};

// Every loss, gradient norm and final weight of ten steps, as torch.optim has them.
TEST_P(TenSteps, AgreeWithTorchOptim) {
  const Json& run = reference()["runs"][GetParam()];
  const auto image = run["image"].get<Shape>();
  const Graph graph =
      build_model(run["network"].get<std::string>(), {.input = image, .classes = 10});
  Network network(graph, generated_weights(graph));
  network.to(at::kDouble);
  network.train();
  Optimizer optimizer(network.tensors(), optimizer_of(run));
  const Schedule schedule(schedule_of(run), 10, 1);
  for (int64_t step = 0; step < 10; ++step) {
    const at::Tensor images =
        generated("input.step" + std::to_string(step), {8, image[0], image[1], image[2]});
    const at::Tensor loss =
        loss_of(run, network.forward(images.to(at::kDouble)), labels_of_step(step, 8));
    const auto s = static_cast<size_t>(step);
    const double expected = run["losses"][s].get<double>();
    EXPECT_NEAR(loss.item<double>(), expected, kTolerance * expected) << "step " << step;
    optimizer.zero_gradients();
    loss.backward();
    const double norm = run.contains("clip_norm") ? run["clip_norm"].get<double>() : 1e30;
    const double expected_norm = run["gradient_norms"][s].get<double>();
    EXPECT_NEAR(optimizer.clip_gradient_norm(norm), expected_norm, 1e-5 * expected_norm)
        << "step " << step;
    optimizer.step(run["learning_rate"].get<double>() * schedule.factor(step));
  }
  for (const auto& [key, expected] : run["final_norms"].items()) {
    const double value = expected.get<double>();
    EXPECT_NEAR(network.tensor(key).norm().item<double>(), value, kTolerance * value) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(Runs, TenSteps,
                         testing::Values("sgd_momentum", "sgd_nesterov",
                                         "sgd_no_decay_on_biases_and_scales", "adam_l2", "adamw",
                                         "label_smoothing_cosine_warmup", "gradient_clipping",
                                         "lenet5_paper_sgd"));

Graph tiny() {
  Graph graph("tiny", {4});
  graph.set_output("logits", Scope(graph).linear("fc", graph.input(), {.out_features = 3}));
  return graph;
}

// Gives every weight of `tiny` one value, and one gradient.
void set_all(Network& network, double value, double gradient) {
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : network.tensors()) {
    at::Tensor parameter = tensor;
    parameter.fill_(value);
    parameter.mutable_grad() = at::full_like(parameter.detach(), gradient);
  }
}

double value_of(const Network& network, const std::string& key) {
  const at::Tensor tensor = network.tensor(key);
  EXPECT_TRUE((tensor == tensor.flatten()[0]).all().item<bool>()) << key;
  return tensor.flatten()[0].item<double>();
}

// v = mu v + (g + lambda w), w = w - eta v; with g = 0 in the second step.
TEST(Optimizer, GoesOnWithMomentumAndDecayWhereThereIsNoGradient) {
  Network network(tiny(), 1);
  network.to(at::kDouble);
  Optimizer optimizer(network.tensors(), {.momentum = 0.9, .weight_decay = 0.1});
  set_all(network, 2, 0.5);
  optimizer.step(0.01);
  const double v1 = 0.5 + 0.1 * 2;
  const double w1 = 2 - 0.01 * v1;
  EXPECT_NEAR(value_of(network, "fc.weight"), w1, 1e-12);
  optimizer.zero_gradients();
  optimizer.step(0.01);
  const double v2 = 0.9 * v1 + 0.1 * w1;
  EXPECT_NEAR(value_of(network, "fc.weight"), w1 - 0.01 * v2, 1e-12);
  EXPECT_NEAR(value_of(network, "fc.bias"), w1 - 0.01 * v2, 1e-12);
}

// After a gradient g and none: m = beta1 (1 - beta1) g and v = beta2 (1 - beta2) g², corrected by
// 1 - beta² each.
TEST(Optimizer, AdamsMeansGoOnWhereThereIsNoGradient) {
  Network network(tiny(), 1);
  network.to(at::kDouble);
  Optimizer optimizer(
      network.tensors(),
      {.kind = OptimizerOptions::Kind::kAdam, .beta1 = 0.8, .beta2 = 0.9, .eps = 1e-3});
  set_all(network, 2, 0.5);
  optimizer.step(0.01);
  const double w1 = 2 - 0.01 * 0.5 / (0.5 + 1e-3);
  EXPECT_NEAR(value_of(network, "fc.weight"), w1, 1e-12);
  optimizer.zero_gradients();
  optimizer.step(0.01);
  const double m = 0.8 * 0.5 / 1.8;
  const double v = 0.9 * 0.5 * 0.5 / 1.9;
  EXPECT_NEAR(value_of(network, "fc.weight"), w1 - 0.01 * m / (std::sqrt(v) + 1e-3), 1e-12);
}

TEST(Optimizer, LeavesFrozenWeightsAlone) {
  Network network(tiny(), 1);
  network.tensor("fc.weight").set_requires_grad(false);
  Optimizer optimizer(network.tensors(), {.weight_decay = 0.1});
  EXPECT_FALSE(optimizer.state().contains("first/fc.weight"));
  set_all(network, 2, 0.5);
  optimizer.step(0.01);
  EXPECT_EQ(value_of(network, "fc.weight"), 2);
  EXPECT_LT(value_of(network, "fc.bias"), 2);
}

void one_step(Network& network, Optimizer& optimizer, uint64_t seed) {
  at::manual_seed(seed);
  optimizer.zero_gradients();
  network.forward(at::randn({5, 4})).square().sum().backward();
  optimizer.step(0.01);
}

TEST(OptimizerState, GoesOnAsIfNothingHadHappened) {
  for (const auto kind : {OptimizerOptions::Kind::kSgd, OptimizerOptions::Kind::kAdam,
                          OptimizerOptions::Kind::kAdamW}) {
    Network whole(tiny(), 1);
    Optimizer one(whole.tensors(), {.kind = kind, .weight_decay = 0.1});
    for (uint64_t step = 0; step < 4; ++step) one_step(whole, one, step);

    Network first(tiny(), 1);
    Optimizer before(first.tensors(), {.kind = kind, .weight_decay = 0.1});
    for (uint64_t step = 0; step < 2; ++step) one_step(first, before, step);
    Network second(tiny(), 2);
    load_weights(second, weights_of(first));
    Optimizer after(second.tensors(), {.kind = kind, .weight_decay = 0.1});
    after.load_state(before.state());
    for (uint64_t step = 2; step < 4; ++step) one_step(second, after, step);
    EXPECT_TRUE(second.tensor("fc.weight").equal(whole.tensor("fc.weight")));
  }
}

TEST(OptimizerState, ThatLacksATensorIsRefused) {
  Network network(tiny(), 1);
  Optimizer optimizer(network.tensors(), {});
  auto state = optimizer.state();
  state.erase("first/fc.bias");
  EXPECT_THROW(optimizer.load_state(state), FormatError);
  state["first/fc.bias"] = at::zeros({9});
  EXPECT_THROW(optimizer.load_state(state), FormatError);
}

}  // namespace
}  // namespace striate
