#pragma once

namespace striate::kernels {

/// What kernels are packed for.
enum class KernelUse {
  kOutput,         ///< convolution
  kInputGradient,  ///< the gradient of its input: kernels turned by 180 degrees, channels swapped
};

/// Kernels of a convolution before they are packed.
struct ConvolutionKernels {
  const float* values;           ///< (out, height, width, in): a channels-last weight of PyTorch
  const float* scale = nullptr;  ///< multiplies those of each output channel, or null
  KernelUse use = KernelUse::kOutput;
};

}  // namespace striate::kernels
