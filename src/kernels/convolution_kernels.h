#pragma once

namespace striate::kernels {

/// Kernels of a convolution before they are packed.
struct ConvolutionKernels {
  const float* values;           ///< (out, height, width, in): a channels-last weight of PyTorch
  const float* scale = nullptr;  ///< multiplies those of each output channel, or null
};

}  // namespace striate::kernels
