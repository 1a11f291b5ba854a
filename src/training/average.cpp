#include "training/average.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>

#include "striate/base/error.h"

namespace striate {

WeightAverage::WeightAverage(const NamedTensors& tensors, double decay) : decay_(decay) {
  for (const auto& [key, tensor] : tensors) {
    if (!tensor.requires_grad()) continue;
    slots_.push_back({.key = key, .parameter = tensor, .average = tensor.detach().clone()});
  }
}

void WeightAverage::update() {
  at::NoGradGuard no_grad;
  const auto n = static_cast<double>(++steps_);
  const double decay = std::min(decay_, (1 + n) / (10 + n));
  for (Slot& slot : slots_) slot.average.lerp_(slot.parameter, 1 - decay);
}

void WeightAverage::swap() {
  at::NoGradGuard no_grad;
  for (Slot& slot : slots_) {
    const at::Tensor weights = slot.parameter.detach().clone();
    slot.parameter.copy_(slot.average);
    slot.average = weights;
  }
}

std::map<std::string, at::Tensor> WeightAverage::state() const {
  std::map<std::string, at::Tensor> state;
  state["steps"] = at::full({1}, steps_, at::kLong);
  for (const Slot& slot : slots_) state[slot.key] = slot.average;
  return state;
}

void WeightAverage::load_state(const std::map<std::string, at::Tensor>& state) {
  const auto find = [&](const std::string& name, at::IntArrayRef shape) {
    const auto found = state.find(name);
    if (found == state.end() || found->second.sizes() != shape) {
      throw FormatError(
          fmt::format("the averaged weights lack {}, or have another shape for it", name));
    }
    return found->second;
  };
  steps_ = find("steps", {1}).item<int64_t>();
  for (Slot& slot : slots_) slot.average.copy_(find(slot.key, slot.average.sizes()));
}

}  // namespace striate
