#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "striate/training/recipe.h"

namespace striate::losses {

/// Mean cross entropy of the softmax of the logits, in nats.
/// @param logits  (N, C)
/// @param labels  (N) int64, each in [0, C)
/// @param label_smoothing  the share of a label's probability that is spread over all classes
at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels,
                         double label_smoothing = 0);

/// The loss of LeNet-5's radial basis outputs: pulls the right class's distance down and pushes the
/// others up.
/// @param logits  (N, C): minus the distances
/// @param j       "a positive constant": the distance from which a wrong class is left alone
/// Source: lecun1998, eq. 9.
at::Tensor lenet5(const at::Tensor& logits, const at::Tensor& labels, double j = 0.1);

/// The loss that a recipe names.
at::Tensor compute(const LossOptions& options, const at::Tensor& logits, const at::Tensor& labels);
/// That of the output "logits" and, times the auxiliary weight, that of each auxiliary head: the
/// outputs whose names begin with "aux". (szegedy2015, 5)
at::Tensor compute(const LossOptions& options, const std::map<std::string, at::Tensor>& outputs,
                   const at::Tensor& labels);

}  // namespace striate::losses
