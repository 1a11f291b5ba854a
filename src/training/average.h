#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "striate/runtime/weights.h"

namespace striate {

/// A running average of trained parameters. Running statistics and what is frozen are
/// not averaged. (polyak1992; with weights that fall exponentially)
class WeightAverage {
 public:
  /// Starts as a copy of those of the tensors that require a gradient, which it shares.
  /// @param decay  in [0, 1)
  WeightAverage(const NamedTensors& tensors, double decay);

  /// After step n (from 1): average = d average + (1 - d) weights. d is the smaller of the decay
  /// and (1 + n) / (10 + n), so that a short run soon forgets what it began with.
  void update();
  /// Exchanges the average and the network's weights.
  void swap();

  /// What must be kept to go on later: the average by key, and the number of steps.
  std::map<std::string, at::Tensor> state() const;
  /// @throws FormatError  a tensor is missing or of another shape.
  void load_state(const std::map<std::string, at::Tensor>& state);

 private:
  struct Slot {
    std::string key;
    at::Tensor parameter;
    at::Tensor average;
  };

  double decay_;
  std::vector<Slot> slots_;
  int64_t steps_ = 0;
};

/// While it lives the network holds the averaged weights.
class AveragedWeights {
 public:
  /// @param average  null: the network keeps its weights.
  explicit AveragedWeights(WeightAverage* average) : average_(average) {
    if (average_ != nullptr) average_->swap();
  }
  ~AveragedWeights() {
    if (average_ != nullptr) average_->swap();
  }
  AveragedWeights(const AveragedWeights&) = delete;
  AveragedWeights& operator=(const AveragedWeights&) = delete;

 private:
  WeightAverage* average_;
};

}  // namespace striate
