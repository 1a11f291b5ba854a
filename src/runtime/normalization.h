#pragma once

#include <ATen/core/Tensor.h>

namespace striate {

/// Batch-norm in training, what is added to it, and the ReLU behind.
struct FusedNorm {
  at::Tensor weight;
  at::Tensor bias;
  at::Tensor running_mean;  ///< moved towards the batch's
  at::Tensor running_var;
  double momentum = 0;
  double eps = 0;
  bool relu = false;
};

/// Whether `normalize` can take these values: float32 or bfloat16 in the processor's memory.
bool can_normalize(const at::Tensor& input);
/// relu((x - mean) / sqrt(var + eps) * weight + bias + shortcut), by the batch's statistics, with
/// gradients. (N, C, H, W) channels last, float32 or bfloat16; statistics and parameters are
/// float32; the result depends on no number of threads.
/// @param shortcut  of the input's shape, or undefined.
/// Source: ioffe2015, Algorithm 1 and section 3.
at::Tensor normalize(const FusedNorm& norm, const at::Tensor& input, const at::Tensor& shortcut);

}  // namespace striate
