#include "runtime/first_derivative.h"

#include <ATen/core/grad_mode.h>

#include "striate/base/error.h"

namespace striate {

void forbid_second_derivative() {
  if (!at::GradMode::is_enabled()) return;
  throw Error("a fused step has a first derivative only",
              "run the network on LibTorch's own operators: "
              "set_execution({.convolution = ConvolutionAlgorithm::kDirect, .fuse = false})");
}

}  // namespace striate
