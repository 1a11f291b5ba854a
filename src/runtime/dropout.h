#pragma once

#include <ATen/core/Tensor.h>

namespace striate {

/// In training: 0 with probability p, else x / (1 - p); otherwise x. Draws one number of LibTorch's
/// generator. On the CPU the float32 result is the same for any number of threads.
/// Source: srivastava2014.
at::Tensor dropout(const at::Tensor& x, double p, bool training);

}  // namespace striate
