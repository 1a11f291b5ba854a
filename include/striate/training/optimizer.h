#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "striate/runtime/weights.h"
#include "striate/training/recipe.h"

namespace striate {

/// Stochastic gradient descent with momentum, Adam or AdamW, with torch.optim's formulas. A
/// parameter that got no gradient in a step, as its path was dropped, counts as one of gradient
/// zero: unlike torch.optim's, its momentum and its decay go on, as in the code of huang2016.
class Optimizer {
 public:
  /// The optimiser shares those of the tensors that require a gradient.
  Optimizer(const NamedTensors& tensors, OptimizerOptions options);

  void zero_gradients();
  /// Scales all gradients so that their common norm is at most `norm`. Returns the norm before.
  double clip_gradient_norm(double norm);
  void step(double learning_rate);

  /// What must be kept to go on later: momenta and the number of steps, by name.
  std::map<std::string, at::Tensor> state() const;
  /// @throws FormatError  a tensor is missing or of another shape.
  void load_state(const std::map<std::string, at::Tensor>& state);

 private:
  struct Slot {
    std::string key;
    at::Tensor parameter;
    double weight_decay = 0;
    at::Tensor first;   // momentum, or Adam's mean of gradients
    at::Tensor second;  // Adam's mean of squared gradients
  };

  template <typename T>
  void step_sgd(Slot& slot, double learning_rate) const;
  template <typename T>
  void step_adam(Slot& slot, double learning_rate) const;
  // On other devices.
  void step_sgd_by_tensors(Slot& slot, double learning_rate) const;
  void step_adam_by_tensors(Slot& slot, double learning_rate) const;

  OptimizerOptions options_;
  std::vector<Slot> slots_;
  int64_t steps_ = 0;
};

}  // namespace striate
