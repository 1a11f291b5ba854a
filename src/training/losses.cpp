#include "striate/training/losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/logsumexp.h>

#include <stdexcept>

namespace striate::losses {

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels,
                         double label_smoothing) {
  return at::cross_entropy_loss(logits, labels, /*weight=*/{}, at::Reduction::Mean,
                                /*ignore_index=*/-100, label_smoothing);
}

at::Tensor lenet5(const at::Tensor& logits, const at::Tensor& labels, double j) {
  const at::Tensor y = -logits;  // (N, C)
  const at::Tensor y_d = y.gather(1, labels.unsqueeze(1)).squeeze(1);
  const at::Tensor rubbish = at::full({logits.size(0), 1}, -j, logits.options());
  return (y_d + at::logsumexp(at::cat({rubbish, -y}, 1), 1)).mean();
}

at::Tensor compute(const LossOptions& options, const at::Tensor& logits, const at::Tensor& labels) {
  switch (options.kind) {
    case LossOptions::Kind::kCrossEntropy:
      return cross_entropy(logits, labels, options.label_smoothing);
    case LossOptions::Kind::kLeNet5:
      return lenet5(logits, labels);
  }
  throw std::logic_error("a loss without a function");
}

at::Tensor compute(const LossOptions& options, const std::map<std::string, at::Tensor>& outputs,
                   const at::Tensor& labels) {
  at::Tensor loss = compute(options, outputs.at("logits"), labels);
  if (options.auxiliary_weight == 0) return loss;
  for (const auto& [name, logits] : outputs) {
    if (!name.starts_with("aux")) continue;
    loss = loss + compute(options, logits, labels) * options.auxiliary_weight;
  }
  return loss;
}

}  // namespace striate::losses
