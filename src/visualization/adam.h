#pragma once

#include <ATen/core/Tensor.h>

#include <cmath>

namespace striate {

/// One tensor's descent. Source: kingma2015, Algorithm 1.
class Adam {
 public:
  explicit Adam(double learning_rate) : learning_rate_(learning_rate) {}

  /// Moves `x` against the gradient.
  void step(at::Tensor& x, const at::Tensor& gradient) {
    ++steps_;
    m_ = m_.defined() ? m_ * kBeta1 + gradient * (1 - kBeta1) : gradient * (1 - kBeta1);
    v_ = v_.defined() ? v_ * kBeta2 + gradient.square() * (1 - kBeta2)
                      : gradient.square() * (1 - kBeta2);
    const at::Tensor m_hat = m_ / (1 - std::pow(kBeta1, steps_));
    const at::Tensor v_hat = v_ / (1 - std::pow(kBeta2, steps_));
    x = x - m_hat / (v_hat.sqrt() + 1e-8) * learning_rate_;
  }

 private:
  static constexpr double kBeta1 = 0.9;
  static constexpr double kBeta2 = 0.999;
  double learning_rate_;
  int steps_ = 0;
  at::Tensor m_;
  at::Tensor v_;
};

}  // namespace striate
