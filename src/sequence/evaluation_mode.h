#pragma once

#include <torch/nn/module.h>

namespace striate {

// Evaluation mode while it lives.
class EvaluationMode {
 public:
  explicit EvaluationMode(torch::nn::Module& model) : model_(model), before_(model.is_training()) {
    model_.eval();
  }
  ~EvaluationMode() { model_.train(before_); }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  torch::nn::Module& model_;
  bool before_;
};

}  // namespace striate
