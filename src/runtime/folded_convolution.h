#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "striate/runtime/network.h"

namespace striate {

/// A batch-norm by its running statistics: x * scale + shift for each channel, in float64.
struct Affine {
  at::Tensor scale;
  at::Tensor shift;
};
Affine running_affine(const Network& network, int64_t norm);

/// A convolution with the batch-norm behind it.
struct FoldedConvolution {
  at::Tensor weight;  ///< as the network's, where no connection is left out
  at::Tensor scale;   ///< (out) float32, of the batch-norm, multiplies the weight; or undefined
  at::Tensor bias;    ///< (out) float32, of both; or undefined
};
at::Tensor scaled_weight(const FoldedConvolution& folded);
FoldedConvolution fold(const Network& network, int64_t conv, std::optional<int64_t> norm);

}  // namespace striate
