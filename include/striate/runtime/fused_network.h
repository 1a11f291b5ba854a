#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

#include "striate/runtime/network.h"

namespace striate {

struct FusedOptions {
  bool every_output = false;  ///< not the first alone
  /// Images may be of any height and width, where no layer that is needed has a size of its own, as
  /// linear ones have.
  bool any_size = false;
};

/// A network made ready for predictions: batch-norms folded into convolutions, kernels packed once,
/// bias, shortcut and ReLU computed where a convolution stores its sums, concatenations written in
/// place. On the processor; values and kernels in the precision of the network's execution, in
/// bfloat16 with sums in float32; no gradients.
/// Error: logits are within 1e-5 (relative, direct convolutions) or 5e-5 (Winograd's) of the
/// network's own in evaluation, in bfloat16 as the network's own from float32's; the same bits for
/// any number of threads, but for what LibTorch computes (linear layers, large groups).
class FusedNetwork {
 public:
  /// Whether a network can be made ready: it is on the processor, float32, channels last, its
  /// execution fuses, and no column of a FractalNet is chosen.
  static bool can_run(const Network& network);

  /// @param network  its weights as they are now, some of them shared: when they change, make
  /// another.
  /// @throws std::invalid_argument  `can_run` is false.
  explicit FusedNetwork(const Network& network, const FusedOptions& options = {});
  ~FusedNetwork();

  /// The first output. Not to be called from two threads at once.
  /// @param images  (N, C, H, W), as for `Network::forward`.
  /// @throws ShapeError  the images are not of the graph's input shape.
  at::Tensor forward(const at::Tensor& images);
  /// The first output, or every one, in their order; feature maps are channels last. Likewise.
  std::vector<at::Tensor> outputs(const at::Tensor& images);

  class Steps;

 private:
  std::unique_ptr<Steps> steps_;
};

/// Logits of images, by the fastest way there is: a FusedNetwork, for as long as the weights stay
/// as they are, where the network is in evaluation mode and can be fused, else the network itself,
/// which must outlive the function.
std::function<at::Tensor(const at::Tensor&)> predictor(Network& network);

}  // namespace striate
