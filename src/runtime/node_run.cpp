#include "runtime/node_run.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "runtime/convolution.h"
#include "runtime/convolution_pool.h"
#include "runtime/dropout.h"
#include "runtime/normalization.h"
#include "runtime/relu_gradient.h"
#include "striate/base/error.h"
#include "striate/graph/analysis.h"
#include "striate/runtime/network.h"

namespace striate {

namespace {

std::vector<int64_t> both(const Size2& size) {
  return {size.height, size.width};
}

at::Tensor max_pool(const MaxPool2d& pool, const at::Tensor& x) {
  return at::max_pool2d(x, both(pool.kernel_size), both(pool.stride.value_or(pool.kernel_size)),
                        both(pool.padding), /*dilation=*/1, pool.ceil_mode);
}

// 1 where an output channel sees an input channel.
at::Tensor connection_mask(const Conv2d& conv, const Shape& weight_shape) {
  at::Tensor mask = at::zeros(weight_shape);
  for (size_t out = 0; out < conv.connections.size(); ++out) {
    for (const int64_t in : conv.connections[out]) mask[static_cast<int64_t>(out)][in].fill_(1);
  }
  return mask;
}

}  // namespace

NodeTensors node_tensors(const Network& network, int64_t node) {
  const Node& of = network.graph().node({node});
  NodeTensors result;
  for (const TensorSpec& spec : tensors(network.graph(), {node})) {
    result.tensors[spec.key.substr(of.name.size() + 1)] = network.tensor(spec.key);
  }
  if (const auto* conv = std::get_if<Conv2d>(&of.op); conv && !conv->connections.empty()) {
    result.connection_mask = connection_mask(*conv, result.tensors.at("weight").sizes().vec());
  }
  return result;
}

const at::Tensor& NodeRun::input(size_t index) const {
  return values[static_cast<size_t>(inputs[index])];
}

at::Tensor NodeRun::optional(const char* name) const {
  const auto found = step.tensors.find(name);
  return found == step.tensors.end() ? at::Tensor() : found->second;
}

const at::Tensor& NodeRun::weight() const {
  return step.tensors.at("weight");
}

at::Tensor NodeRun::in_precision(const at::Tensor& tensor) const {
  const bool lower = execution.precision == Precision::kBFloat16 && tensor.defined();
  return lower ? tensor.to(at::kBFloat16) : tensor;
}

at::Tensor NodeRun::operator()(const Input&) const {
  return values[0];
}

at::Tensor NodeRun::operator()(const Conv2d& conv) const {
  const at::Tensor kernel = step.connection_mask.defined()
                                ? weight() * step.connection_mask.to(weight().options())
                                : weight();
  return convolve(conv, execution.convolution, in_precision(input()), kernel, optional("bias"));
}

at::Tensor NodeRun::operator()(const Linear&) const {
  return at::linear(in_precision(input()), in_precision(weight()), in_precision(optional("bias")));
}

at::Tensor NodeRun::operator()(const BatchNorm2d& norm) const {
  if (measures()) start_measuring(input());
  return at::batch_norm(input(), weight(), optional("bias"), statistic("running_mean"),
                        statistic("running_var"), measures(), momentum(norm), norm.eps,
                        at::globalContext().userEnabledCuDNN());
}

// Whether a batch-norm goes by the batch's statistics.
bool NodeRun::measures() const {
  return (training || statistics_momentum.has_value()) && !step.frozen;
}

double NodeRun::momentum(const BatchNorm2d& norm) const {
  return training ? norm.momentum : statistics_momentum.value_or(0);
}

void NodeRun::start_measuring(const at::Tensor& x) const {
  if (x.size(0) * x.size(2) * x.size(3) < 2) {
    throw ShapeError(fmt::format(
        "[{}] batch-norm in training needs more than one value per channel, got a batch of {} "
        "with {}x{}",
        node.name, x.size(0), x.size(2), x.size(3)));
  }
  if (!training || again) return;
  c10::NoGradGuard no_grad;
  step.tensors.at("num_batches_tracked").add_(1);
}

at::Tensor NodeRun::statistic(const char* name) const {
  const at::Tensor& tensor = step.tensors.at(name);
  return again ? tensor.clone() : tensor;
}

// This batch-norm, what is added to it, and the ReLU behind.
at::Tensor NodeRun::run_group(const NormGroup& group) const {
  const auto& op = std::get<BatchNorm2d>(node.op);
  const at::Tensor& x = values[static_cast<size_t>(group.input)];
  const at::Tensor shortcut =
      group.shortcut.has_value() ? values[static_cast<size_t>(*group.shortcut)] : at::Tensor();
  const FusedNorm norm{.weight = weight(),
                       .bias = optional("bias"),
                       .running_mean = statistic("running_mean"),
                       .running_var = statistic("running_var"),
                       .momentum = momentum(op),
                       .eps = op.eps,
                       .relu = group.relu};
  if (can_normalize(x) && measures()) {
    start_measuring(x);
    return normalize(norm, x, shortcut);
  }
  at::Tensor y = (*this)(op);
  if (shortcut.defined()) y.add_(shortcut);
  return group.relu ? at::relu_(y) : y;
}

at::Tensor NodeRun::run_group(const PoolGroup& group) const {
  const auto& conv = std::get<Conv2d>(node.op);
  if (input().is_cpu() && input().scalar_type() == at::kFloat && input().numel() > 0) {
    return convolve_and_pool(conv, group.pool, input(), weight(), optional("bias"));
  }
  at::Tensor y = (*this)(conv);
  return max_pool(group.pool, at::relu_(y));
}

at::Tensor NodeRun::operator()(const ReLU& relu) const {
  if (relu.gradient != ReluGradient::kDerivative) return relu_to_look_inside(relu, input());
  return reuse_input ? at::relu_(const_cast<at::Tensor&>(input())) : at::relu(input());
}

at::Tensor NodeRun::operator()(const ScaledTanh& tanh) const {
  return at::tanh(input() * tanh.slope) * tanh.amplitude;
}

at::Tensor NodeRun::operator()(const ChannelAffine&) const {
  return input() * weight().view({1, -1, 1, 1}) + optional("bias").view({1, -1, 1, 1});
}

at::Tensor NodeRun::operator()(const MaxPool2d& pool) const {
  return max_pool(pool, input());
}

at::Tensor NodeRun::operator()(const AvgPool2d& pool) const {
  return at::avg_pool2d(input(), both(pool.kernel_size),
                        both(pool.stride.value_or(pool.kernel_size)), both(pool.padding),
                        pool.ceil_mode, pool.count_include_pad, pool.divisor_override);
}

at::Tensor NodeRun::operator()(const AdaptiveAvgPool2d& pool) const {
  return at::adaptive_avg_pool2d(input(), both(pool.output_size));
}

// LibTorch has it as a function of torch::nn::functional only, whose header is heavy.
at::Tensor NodeRun::operator()(const LocalResponseNorm& norm) const {
  // Its sums of squares need more bits than bfloat16 has.
  const bool lower = input().scalar_type() == at::kBFloat16;
  const at::Tensor x = lower ? input().to(at::kFloat) : input();
  const int64_t before = norm.size / 2;
  const int64_t after = (norm.size - 1) / 2;
  const at::Tensor squares = at::constant_pad_nd(x * x, {0, 0, 0, 0, before, after});
  at::Tensor sums = squares.slice(1, 0, x.size(1));
  for (int64_t i = 1; i < norm.size; ++i) sums = sums + squares.slice(1, i, i + x.size(1));
  const double alpha = norm.alpha / static_cast<double>(norm.size);
  return x * (sums * alpha + norm.k).pow(-norm.beta);
}

at::Tensor NodeRun::operator()(const Flatten&) const {
  return input().flatten(1);
}

at::Tensor NodeRun::operator()(const Dropout& dropout) const {
  return striate::dropout(input(), dropout.p, training);
}

// A dropped branch is an undefined tensor.
at::Tensor NodeRun::operator()(const StochasticDepth& depth) const {
  if (inputs.empty()) return {};
  return training ? input() : input() * depth.survival;
}

at::Tensor NodeRun::operator()(const FractalJoin&) const {
  at::Tensor sum = input();
  for (size_t i = 1; i < inputs.size(); ++i) sum = sum + input(i);
  return inputs.size() == 1 ? sum : sum / static_cast<double>(inputs.size());
}

at::Tensor NodeRun::operator()(const Add&) const {
  at::Tensor sum;
  bool may_write = reuse_input;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!input(i).defined()) continue;
    if (!sum.defined()) {
      sum = input(i);
      may_write = may_write && i == 0;
      continue;
    }
    sum = may_write ? sum.add_(input(i)) : sum + input(i);
    may_write = true;
  }
  return sum;
}

at::Tensor NodeRun::operator()(const Concat&) const {
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i < inputs.size(); ++i) parts.push_back(input(i));
  return at::cat(parts, 1);
}

at::Tensor NodeRun::operator()(const Subsample& subsample) const {
  return input()
      .slice(2, 0, std::nullopt, subsample.stride.height)
      .slice(3, 0, std::nullopt, subsample.stride.width);
}

at::Tensor NodeRun::operator()(const PadChannels& pad) const {
  return at::constant_pad_nd(input(), {0, 0, 0, 0, pad.before, pad.after});
}

at::Tensor NodeRun::operator()(const NegativeSquaredDistance&) const {
  return -(input().unsqueeze(1) - weight().unsqueeze(0)).square().sum(2);
}

}  // namespace striate
