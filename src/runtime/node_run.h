#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/plan.h"
#include "striate/graph/graph.h"
#include "striate/runtime/execution.h"

namespace striate {

class Network;

/// What a node keeps between passes.
struct NodeTensors {
  std::map<std::string, at::Tensor> tensors;  ///< "weight", "bias", …
  at::Tensor connection_mask;                 ///< of a convolution with a connection table
  bool frozen = false;
};

/// A node's tensors in a network, sharing their memory.
NodeTensors node_tensors(const Network& network, int64_t node);

/// Runs one operator on values that are already there.
struct NodeRun {
  const Node& node;
  const NodeTensors& step;
  const std::vector<int64_t>& inputs;  // of the node's, those that this pass uses
  const std::vector<at::Tensor>& values;
  bool training;
  std::optional<double> statistics_momentum;  // see ForwardOptions
  Execution execution;
  bool reuse_input;  // the first input's memory may be overwritten
  bool again;        // this pass ran before: batch-norms do not count it twice

  /// The operator's value.
  at::Tensor operator()(const Input&) const;
  at::Tensor operator()(const Conv2d& conv) const;
  at::Tensor operator()(const Linear&) const;
  at::Tensor operator()(const BatchNorm2d& norm) const;
  at::Tensor operator()(const ReLU&) const;
  at::Tensor operator()(const ScaledTanh& tanh) const;
  at::Tensor operator()(const ChannelAffine&) const;
  at::Tensor operator()(const MaxPool2d& pool) const;
  at::Tensor operator()(const AvgPool2d& pool) const;
  at::Tensor operator()(const AdaptiveAvgPool2d& pool) const;
  at::Tensor operator()(const LocalResponseNorm& norm) const;
  at::Tensor operator()(const Flatten&) const;
  at::Tensor operator()(const Dropout& dropout) const;
  at::Tensor operator()(const StochasticDepth& depth) const;
  at::Tensor operator()(const FractalJoin&) const;
  at::Tensor operator()(const Add&) const;
  at::Tensor operator()(const Concat&) const;
  at::Tensor operator()(const Subsample& subsample) const;
  at::Tensor operator()(const PadChannels& pad) const;
  at::Tensor operator()(const NegativeSquaredDistance&) const;
  /// A batch-norm, what is added to it, and the ReLU behind.
  at::Tensor run_group(const NormGroup& group) const;
  /// A convolution, a ReLU and a max-pooling.
  at::Tensor run_group(const PoolGroup& group) const;

 private:
  const at::Tensor& input(size_t index = 0) const;
  at::Tensor optional(const char* name) const;
  const at::Tensor& weight() const;
  // In the pass's precision; with a gradient in the tensor's own.
  at::Tensor in_precision(const at::Tensor& tensor) const;
  // Whether a batch-norm goes by the batch's statistics.
  bool measures() const;
  double momentum(const BatchNorm2d& norm) const;
  void start_measuring(const at::Tensor& x) const;
  // A running statistic, or a copy that is thrown away.
  at::Tensor statistic(const char* name) const;
};

}  // namespace striate
