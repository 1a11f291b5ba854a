#pragma once

#include <ATen/ops/linear.h>

#include <cmath>
#include <string>

#include "sequence/parameters.h"

namespace striate {

// A linear layer of a model, whose parameters are the model's.
struct LinearLayer {
  at::Tensor weight;  // (outputs, inputs)
  at::Tensor bias;    // (outputs)

  at::Tensor operator()(const at::Tensor& x) const { return at::linear(x, weight, bias); }
};

struct LinearSize {
  int64_t inputs = 0;
  int64_t outputs = 0;
};

// Registers `name.weight` and `name.bias`, which start as torch.nn.Linear's.
inline LinearLayer add_linear(torch::nn::Module& module, const std::string& name,
                              const LinearSize& size, uint64_t seed) {
  const double range = 1 / std::sqrt(static_cast<double>(size.inputs));
  return {.weight = add_matrix(module, name + ".weight", {size.outputs, size.inputs}, seed),
          .bias = add_parameter(module, name + ".bias", {size.outputs}, range, seed)};
}

}  // namespace striate
