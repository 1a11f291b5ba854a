#include "runtime/folded_convolution.h"

#include <ATen/ATen.h>

#include "runtime/node_run.h"

namespace striate {

Affine running_affine(const Network& network, int64_t norm) {
  const auto& op = std::get<BatchNorm2d>(network.graph().node({norm}).op);
  const NodeTensors node = node_tensors(network, norm);
  const auto tensor = [&](const char* name) {
    return node.tensors.at(name).detach().to(at::kDouble);
  };
  const at::Tensor scale = tensor("weight") / (tensor("running_var") + op.eps).sqrt();
  return {scale, tensor("bias") - tensor("running_mean") * scale};
}

at::Tensor scaled_weight(const FoldedConvolution& folded) {
  return folded.scale.defined() ? folded.weight * folded.scale.view({-1, 1, 1, 1}) : folded.weight;
}

FoldedConvolution fold(const Network& network, int64_t conv, std::optional<int64_t> norm) {
  const NodeTensors node = node_tensors(network, conv);
  FoldedConvolution result{.weight = node.tensors.at("weight").detach()};
  if (node.connection_mask.defined()) result.weight = result.weight * node.connection_mask;
  const auto bias = node.tensors.find("bias");
  if (bias != node.tensors.end()) result.bias = bias->second.detach();
  if (norm.has_value()) {
    const Affine affine = running_affine(network, *norm);
    result.scale = affine.scale.to(at::kFloat);
    result.bias = result.bias.defined() ? result.bias * affine.scale + affine.shift : affine.shift;
  }
  if (result.bias.defined()) result.bias = result.bias.to(at::kFloat).contiguous();
  return result;
}

}  // namespace striate
