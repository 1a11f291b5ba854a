#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "striate/runtime/network.h"

namespace striate {

/// A network made ready for gradients of its images, where weights need none: kernels packed once
/// for both directions, batch-norms folded into them; forward as a FusedNetwork, backward in
/// convolutions that add the shortcut's gradient and pass the ReLU's before they store their sums.
/// Other operators have LibTorch's gradient.
/// Error: values as a FusedNetwork's, gradients within 1e-5 (direct convolutions) or 5e-5
/// (Winograd's) of float64's, where every ReLU decides as it does there.
class GradientNetwork {
 public:
  /// As `FusedNetwork::can_run`, and for float32 in evaluation only.
  static bool can_run(const Network& network);

  /// @param network  its weights as they are now, some of them shared: when they change, make
  /// another. ReLUs pass gradients by their own rules (`ReLU::gradient`).
  /// @throws std::invalid_argument  `can_run` is false.
  explicit GradientNetwork(const Network& network);
  ~GradientNetwork();

  /// The first output; keeps what `backward` needs. Not to be called from two threads at once.
  /// @param images  (N, C, H, W), as for `Network::forward`; computed in float32.
  /// @return  float32, and part of what is kept: not to be written to.
  /// @throws ShapeError  the images are not of the graph's input shape.
  at::Tensor forward(const at::Tensor& images);
  /// The gradient of the images of the last `forward`, and forgets what that kept.
  /// @param gradient  of the first output, of its shape.
  /// @return  (N, C, H, W), of the images' type; zero where the output does not depend on them.
  /// @throws std::logic_error  there was no `forward` since the last `backward`.
  /// @throws ShapeError        the gradient has another shape.
  at::Tensor backward(const at::Tensor& gradient);

 private:
  class Steps;
  std::unique_ptr<Steps> steps_;
};

}  // namespace striate
