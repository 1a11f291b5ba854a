#pragma once

#include <cstdint>

namespace striate::kernels {

/// One pass over a parameter and what belongs to it. Without a gradient (null) it counts as zero.
template <typename T>
struct SgdStep {
  T* parameter;
  const T* gradient;
  T* momentum_buffer;  ///< null: no momentum
  T learning_rate;
  T momentum;
  T weight_decay;
  bool nesterov;
};
/// torch.optim.SGD, for values [begin, end).
template <typename T>
void sgd_step(const SgdStep<T>& step, int64_t begin, int64_t end);

template <typename T>
struct AdamStep {
  T* parameter;
  const T* gradient;
  T* mean;
  T* square;
  T beta1;
  T beta2;
  T eps;
  T weight_decay;       ///< added to the gradient
  T shrink;             ///< the parameter times this first (AdamW's decay)
  T step_size;          ///< learning rate / (1 - beta1^t)
  T square_correction;  ///< sqrt(1 - beta2^t)
};
/// torch.optim.Adam and AdamW, for values [begin, end).
template <typename T>
void adam_step(const AdamStep<T>& step, int64_t begin, int64_t end);

}  // namespace striate::kernels
