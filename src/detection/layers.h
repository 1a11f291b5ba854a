#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

#include "striate/graph/graph.h"
#include "striate/runtime/weights.h"

namespace striate {

/// A convolution beside a graph, by the project's own kernels where they pay.
struct ConvLayer {
  Conv2d op{.out_channels = 0, .kernel_size = 1};
  at::Tensor weight;
  at::Tensor bias;

  at::Tensor operator()(const at::Tensor& x) const;
};

struct DenseLayer {
  at::Tensor weight;
  at::Tensor bias;

  at::Tensor operator()(const at::Tensor& x) const;
};

/// Makes layers whose weights belong to it, under dotted keys; biases start at 0.
/// Without a seed they are undetermined.
class Layers {
 public:
  explicit Layers(std::optional<uint64_t> seed) : seed_(seed) {}

  ConvLayer conv(const std::string& key, int64_t in, const Conv2d& op, const Initializer& start);
  /// A convolution whose stride is its kernel's size, transposed.
  DenseLayer enlarging(const std::string& key, int64_t in, int64_t out, const Initializer& start);
  DenseLayer linear(const std::string& key, int64_t in, int64_t out, const Initializer& start);

  const NamedTensors& tensors() const { return tensors_; }

 private:
  at::Tensor add(const std::string& key, const Shape& shape, const Initializer& start);

  std::optional<uint64_t> seed_;
  NamedTensors tensors_;
};

/// The values above 0, in place.
at::Tensor rectified(const at::Tensor& x);

}  // namespace striate
