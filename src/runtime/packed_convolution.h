#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <mutex>
#include <optional>

#include "kernels/direct_convolution.h"
#include "striate/graph/ops.h"
#include "striate/runtime/execution.h"

namespace striate {

/// Whether a convolution's gradient of its input is a convolution itself: of stride 1, by turned
/// kernels.
bool has_gradient_convolution(const Conv2d& conv);
/// It, of the output's gradient.
/// @param in_channels  of the layer
Conv2d gradient_convolution(const Conv2d& conv, int64_t in_channels);

/// Kernels that are packed when they are first needed, by the thread that comes first.
class PackedOnce {
 public:
  template <typename Pack>
  const at::Tensor& get(const Pack& pack) {
    std::call_once(*once_, [&] { packed_ = pack(); });
    return packed_;
  }

 private:
  std::unique_ptr<std::once_flag> once_ = std::make_unique<std::once_flag>();
  at::Tensor packed_;
};

/// A convolution without groups, whose kernels are packed when they are first needed: for the
/// processor's matrix tiles or for Winograd's algorithm where that is faster, or else as a matrix
/// product. It is the layer's own or
/// gives the gradient of the layer's input, in which case outputs take the place of inputs.
/// T: float or kernels::BFloat16.
template <typename T>
class PackedConvolution {
 public:
  struct Layer {
    Conv2d conv;
    at::Tensor weight;  ///< (out, in, kernel_height, kernel_width) float32, channels last
    at::Tensor scale;   ///< (out) float32, multiplies them; or undefined
  };
  PackedConvolution(kernels::KernelUse use, ConvolutionAlgorithm algorithm, Layer layer);

  /// All outputs, by all threads; the same bits for any number of them. Several threads may call
  /// it.
  /// @param images  what it reads, (N, C, H, W); its memory and strides stand in `convolution`.
  /// @param convolution  all but what is packed; where inputs are scaled first, kernels are 1x1.
  /// @param algorithm_batch  the algorithm is the one for so many images; otherwise for these
  void run(const at::Tensor& images, kernels::DirectConvolution<T> convolution,
           std::optional<int64_t> algorithm_batch = std::nullopt);

 private:
  bool splits(const kernels::ConvolutionShape& shape) const;
  bool takes_winograd(const kernels::ConvolutionShape& shape) const;

  kernels::KernelUse use_;
  ConvolutionAlgorithm algorithm_;
  Conv2d conv_;  // the one that runs
  at::Tensor weight_;
  at::Tensor scale_;
  PackedOnce direct_;
  PackedOnce split_;
  PackedOnce winograd_;
};

}  // namespace striate
