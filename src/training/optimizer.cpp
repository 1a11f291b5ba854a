#include "striate/training/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cmath>

#include "kernels/optimizer.h"
#include "striate/base/error.h"

namespace striate {

namespace {

// Values that lie in the processor's memory in one order, as pointers.
template <typename T>
T* values(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<T>() : nullptr;
}

at::Tensor gradient_or_zero(const at::Tensor& parameter) {
  return parameter.grad().defined() ? parameter.grad() : at::zeros_like(parameter);
}

// Of the parameter's layout; undefined where there is none.
at::Tensor gradient_like(const at::Tensor& parameter) {
  const at::Tensor& gradient = parameter.grad();
  if (!gradient.defined() || gradient.strides() == parameter.strides()) return gradient;
  return at::empty_like(parameter.detach()).copy_(gradient);
}

constexpr int64_t kGrain = 1 << 15;  // values that are worth a thread

}  // namespace

Optimizer::Optimizer(const NamedTensors& tensors, OptimizerOptions options) : options_(options) {
  const bool adam = options_.kind != OptimizerOptions::Kind::kSgd;
  for (const auto& [key, tensor] : tensors) {
    if (!tensor.requires_grad()) continue;
    const bool decays = options_.decay_biases_and_scales || tensor.dim() > 1;
    Slot slot{.key = key,
              .parameter = tensor,
              .weight_decay = decays ? options_.weight_decay : 0.0,
              .first = {},
              .second = {}};
    if (adam || options_.momentum != 0) slot.first = at::zeros_like(slot.parameter.detach());
    if (adam) slot.second = at::zeros_like(slot.parameter.detach());
    slots_.push_back(std::move(slot));
  }
}

void Optimizer::zero_gradients() {
  for (Slot& slot : slots_) slot.parameter.mutable_grad().reset();
}

double Optimizer::clip_gradient_norm(double norm) {
  at::NoGradGuard no_grad;
  double squares = 0;
  for (const Slot& slot : slots_) {
    if (!slot.parameter.grad().defined()) continue;
    const double own = slot.parameter.grad().norm().item<double>();
    squares += own * own;
  }
  const double total = std::sqrt(squares);
  // torch.nn.utils.clip_grad_norm_ adds the same 1e-6.
  const double scale = norm / (total + 1e-6);
  if (scale < 1) {
    for (const Slot& slot : slots_) {
      if (slot.parameter.grad().defined()) slot.parameter.mutable_grad().mul_(scale);
    }
  }
  return total;
}

void Optimizer::step(double learning_rate) {
  at::NoGradGuard no_grad;
  ++steps_;
  const bool sgd = options_.kind == OptimizerOptions::Kind::kSgd;
  for (Slot& slot : slots_) {
    if (!slot.parameter.is_cpu()) {
      sgd ? step_sgd_by_tensors(slot, learning_rate) : step_adam_by_tensors(slot, learning_rate);
    } else if (slot.parameter.scalar_type() == at::kDouble) {
      sgd ? step_sgd<double>(slot, learning_rate) : step_adam<double>(slot, learning_rate);
    } else {
      sgd ? step_sgd<float>(slot, learning_rate) : step_adam<float>(slot, learning_rate);
    }
  }
}

template <typename T>
void Optimizer::step_sgd(Slot& slot, double learning_rate) const {
  const at::Tensor gradient = gradient_like(slot.parameter);
  const kernels::SgdStep<T> step{.parameter = values<T>(slot.parameter),
                                 .gradient = values<T>(gradient),
                                 .momentum_buffer = values<T>(slot.first),
                                 .learning_rate = static_cast<T>(learning_rate),
                                 .momentum = static_cast<T>(options_.momentum),
                                 .weight_decay = static_cast<T>(slot.weight_decay),
                                 .nesterov = options_.nesterov};
  at::parallel_for(0, slot.parameter.numel(), kGrain,
                   [&](int64_t begin, int64_t end) { kernels::sgd_step(step, begin, end); });
}

template <typename T>
void Optimizer::step_adam(Slot& slot, double learning_rate) const {
  const at::Tensor gradient = gradient_like(slot.parameter);
  const bool decoupled = options_.kind == OptimizerOptions::Kind::kAdamW;
  const auto t = static_cast<double>(steps_);
  const kernels::AdamStep<T> step{
      .parameter = values<T>(slot.parameter),
      .gradient = values<T>(gradient),
      .mean = values<T>(slot.first),
      .square = values<T>(slot.second),
      .beta1 = static_cast<T>(options_.beta1),
      .beta2 = static_cast<T>(options_.beta2),
      .eps = static_cast<T>(options_.eps),
      .weight_decay = static_cast<T>(decoupled ? 0 : slot.weight_decay),
      .shrink = static_cast<T>(decoupled ? 1 - learning_rate * slot.weight_decay : 1),
      .step_size = static_cast<T>(learning_rate / (1 - std::pow(options_.beta1, t))),
      .square_correction = static_cast<T>(std::sqrt(1 - std::pow(options_.beta2, t)))};
  at::parallel_for(0, slot.parameter.numel(), kGrain,
                   [&](int64_t begin, int64_t end) { kernels::adam_step(step, begin, end); });
}

void Optimizer::step_sgd_by_tensors(Slot& slot, double learning_rate) const {
  at::Tensor gradient = gradient_or_zero(slot.parameter);
  if (slot.weight_decay != 0) gradient = gradient.add(slot.parameter, slot.weight_decay);
  if (options_.momentum != 0) {
    slot.first.mul_(options_.momentum).add_(gradient);
    gradient = options_.nesterov ? gradient.add(slot.first, options_.momentum) : slot.first;
  }
  slot.parameter.add_(gradient, -learning_rate);
}

void Optimizer::step_adam_by_tensors(Slot& slot, double learning_rate) const {
  at::Tensor gradient = gradient_or_zero(slot.parameter);
  if (options_.kind == OptimizerOptions::Kind::kAdamW) {
    slot.parameter.mul_(1 - learning_rate * slot.weight_decay);
  } else if (slot.weight_decay != 0) {
    gradient = gradient.add(slot.parameter, slot.weight_decay);
  }
  slot.first.mul_(options_.beta1).add_(gradient, 1 - options_.beta1);
  slot.second.mul_(options_.beta2).addcmul_(gradient, gradient, 1 - options_.beta2);
  const auto t = static_cast<double>(steps_);
  const double correction1 = 1 - std::pow(options_.beta1, t);
  const double correction2 = 1 - std::pow(options_.beta2, t);
  const at::Tensor denominator = slot.second.sqrt().div_(std::sqrt(correction2)).add_(options_.eps);
  slot.parameter.addcdiv_(slot.first, denominator, -learning_rate / correction1);
}

std::map<std::string, at::Tensor> Optimizer::state() const {
  std::map<std::string, at::Tensor> state;
  state["steps"] = at::full({1}, steps_, at::kLong);
  for (const Slot& slot : slots_) {
    if (slot.first.defined()) state["first/" + slot.key] = slot.first;
    if (slot.second.defined()) state["second/" + slot.key] = slot.second;
  }
  return state;
}

void Optimizer::load_state(const std::map<std::string, at::Tensor>& state) {
  const auto find = [&](const std::string& name) {
    const auto found = state.find(name);
    if (found == state.end()) throw FormatError("the optimiser's state lacks " + name);
    return found->second;
  };
  const auto load = [&](at::Tensor& target, const std::string& name) {
    if (!target.defined()) return;
    const at::Tensor source = find(name);
    if (source.sizes() != target.sizes()) {
      throw FormatError(fmt::format("the optimiser's state has another shape for {}", name));
    }
    target.copy_(source);
  };
  steps_ = find("steps").item<int64_t>();
  for (Slot& slot : slots_) {
    load(slot.first, "first/" + slot.key);
    load(slot.second, "second/" + slot.key);
  }
}

}  // namespace striate
