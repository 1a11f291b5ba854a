#pragma once

#include <ATen/core/Tensor.h>

namespace striate {

/// Images (N, C, H, W) under a Gaussian of this standard deviation in pixels; edges are repeated.
at::Tensor gaussian_blur(const at::Tensor& images, double deviation);

}  // namespace striate
