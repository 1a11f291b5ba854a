#pragma once

#include <ATen/core/Tensor.h>

namespace striate {

/// A support vector machine that tells two classes apart by the sign of weight . x + bias.
struct LinearSvm {
  at::Tensor weight;  ///< (D) float32
  double bias = 0;
};

struct LinearSvmOptions {
  double cost = 1e-3;      ///< C: what being wrong weighs beside a wide margin
  double tolerance = 0.1;  ///< where the solver stops; liblinear's default
};

/// The machine with the least |w|^2 / 2 + C sum max(0, 1 - y (w x + b)), the bias being one more
/// weight. By liblinear's dual coordinate descent; the same examples give the same machine.
/// @param positive, negative  (N, D) each, of any floating type, with one example at least
/// @throws std::invalid_argument  other shapes, a class without examples, or a cost not above 0.
/// Source: fan2008, 2.1 and 3.
LinearSvm train_linear_svm(const at::Tensor& positive, const at::Tensor& negative,
                           const LinearSvmOptions& options = {});

}  // namespace striate
