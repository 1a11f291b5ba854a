#pragma once

#include <ATen/core/Tensor.h>

#include "striate/graph/ops.h"

namespace striate {

/// Pooling without gradients, of float32 or bfloat16 on the processor, channels last.
/// @param input, output  (N, C, H, W), of one type, pixels `…_stride` values from each other.
struct Pooling {
  at::Tensor input;
  int64_t input_stride;
  at::Tensor output;
  int64_t output_stride;
};
void pool(const MaxPool2d& op, const Pooling& pooling);
void pool(const AvgPool2d& op, const Pooling& pooling);
void pool(const AdaptiveAvgPool2d& op, const Pooling& pooling);

}  // namespace striate
