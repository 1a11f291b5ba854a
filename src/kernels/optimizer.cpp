#include "kernels/optimizer.h"

#include <cmath>

namespace striate::kernels {

template <typename T>
void sgd_step(const SgdStep<T>& s, int64_t begin, int64_t end) {
  // Local pointers that do not overlap, so that the compiler makes vectors of them.
  T* __restrict__ parameter = s.parameter;
  const T* __restrict__ gradient = s.gradient;
  T* __restrict__ buffer = s.momentum_buffer;
  const T rate = s.learning_rate;
  const T momentum = s.momentum;
  const T decay = s.weight_decay;
  const auto gradient_at = [&](int64_t i) {
    return (gradient == nullptr ? T(0) : gradient[i]) + decay * parameter[i];
  };
  if (buffer == nullptr) {
    for (int64_t i = begin; i < end; ++i) parameter[i] -= rate * gradient_at(i);
  } else if (s.nesterov) {
    for (int64_t i = begin; i < end; ++i) {
      const T g = gradient_at(i);
      buffer[i] = momentum * buffer[i] + g;
      parameter[i] -= rate * (g + momentum * buffer[i]);
    }
  } else {
    for (int64_t i = begin; i < end; ++i) {
      buffer[i] = momentum * buffer[i] + gradient_at(i);
      parameter[i] -= rate * buffer[i];
    }
  }
}

template <typename T>
void adam_step(const AdamStep<T>& s, int64_t begin, int64_t end) {
  T* __restrict__ parameter = s.parameter;
  const T* __restrict__ gradient = s.gradient;
  T* __restrict__ mean = s.mean;
  T* __restrict__ square = s.square;
  for (int64_t i = begin; i < end; ++i) {
    const T value = parameter[i] * s.shrink;
    const T g = (gradient == nullptr ? T(0) : gradient[i]) + s.weight_decay * value;
    mean[i] = s.beta1 * mean[i] + (1 - s.beta1) * g;
    square[i] = s.beta2 * square[i] + (1 - s.beta2) * g * g;
    const T denominator = std::sqrt(square[i]) / s.square_correction + s.eps;
    parameter[i] = value - s.step_size * mean[i] / denominator;
  }
}

template void sgd_step(const SgdStep<float>&, int64_t, int64_t);
template void sgd_step(const SgdStep<double>&, int64_t, int64_t);
template void adam_step(const AdamStep<float>&, int64_t, int64_t);
template void adam_step(const AdamStep<double>&, int64_t, int64_t);

}  // namespace striate::kernels
