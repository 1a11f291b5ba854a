#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "detection/layers.h"
#include "striate/detection/detector_options.h"
#include "striate/runtime/fused_network.h"
#include "striate/runtime/network.h"

namespace striate {

/// A part of a network of the registry, whose batch-norms are frozen.
class NetworkPart {
 public:
  NetworkPart(const DetectorOptions& options, const GraphPart& part, std::optional<uint64_t> seed);

  /// The outputs in their order, channels last; fused where no gradient is asked for.
  std::vector<at::Tensor> outputs(const at::Tensor& x);
  /// What it has of a network's weights. @throws ShapeError  something is missing, or of another
  /// shape.
  void load(const Weights& weights);
  void to(at::ScalarType type);
  void weights_changed() { fused_.reset(); }
  const Shape& output_shape(size_t index) const;
  /// Those that are trained or kept, with a prefix.
  void append_tensors(const std::string& prefix, NamedTensors& tensors) const;
  Network& network() { return *network_; }

 private:
  std::shared_ptr<Network> network_;
  bool any_size_;
  std::unique_ptr<FusedNetwork> fused_;  // of the weights as they are
};

/// Feature maps of images: those of the network itself, or a pyramid over them.
/// Source: lin2017.
class Backbone {
 public:
  Backbone(const DetectorOptions& options, std::optional<uint64_t> seed, Layers& layers);

  /// (N, C, h, w) each, finest first. Of a pyramid the last serves proposals only.
  std::vector<at::Tensor> maps(const at::Tensor& images);
  int64_t channels() const { return channels_; }
  NetworkPart& body() { return body_; }

 private:
  std::vector<at::Tensor> pyramid(const std::vector<at::Tensor>& maps) const;

  NetworkPart body_;
  int64_t channels_;
  std::vector<ConvLayer> inner_;
  std::vector<ConvLayer> outer_;
};

}  // namespace striate
