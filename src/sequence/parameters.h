#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <string>

#include "striate/graph/graph.h"

namespace striate {

constexpr double kEmbeddingRange = 0.1;  // as word_language_model's

/// A seed for a part of a model, so that parts with the same keys start differently.
uint64_t part_seed(uint64_t seed, const char* part);

/// Registers a parameter under a dotted key, uniform in ±range.
at::Tensor add_parameter(torch::nn::Module& module, const std::string& key, const Shape& shape,
                         double range, uint64_t seed);
/// Likewise, in ±1 / sqrt(columns), as torch.nn.Linear starts.
at::Tensor add_matrix(torch::nn::Module& module, const std::string& key, const Shape& shape,
                      uint64_t seed);

/// Registers a module under a dotted name.
void add_module(torch::nn::Module& module, const std::string& name,
                const std::shared_ptr<torch::nn::Module>& part);

}  // namespace striate
