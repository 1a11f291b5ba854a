#include "detection/layers.h"

#include <ATen/ATen.h>

#include "runtime/convolution.h"
#include "striate/runtime/initialize.h"

namespace striate {

at::Tensor ConvLayer::operator()(const at::Tensor& x) const {
  return convolve(op, ConvolutionAlgorithm::kAuto, x, weight, bias);
}

at::Tensor DenseLayer::operator()(const at::Tensor& x) const {
  return at::linear(x, weight, bias);
}

ConvLayer Layers::conv(const std::string& key, int64_t in, const Conv2d& op,
                       const Initializer& start) {
  const Shape shape = {op.out_channels, in, op.kernel_size.height, op.kernel_size.width};
  return {op, add(key + ".weight", shape, start), add(key + ".bias", {op.out_channels}, {})};
}

DenseLayer Layers::enlarging(const std::string& key, int64_t in, int64_t out,
                             const Initializer& start) {
  return {add(key + ".weight", {in, out, 2, 2}, start), add(key + ".bias", {out}, {})};
}

DenseLayer Layers::linear(const std::string& key, int64_t in, int64_t out,
                          const Initializer& start) {
  return {add(key + ".weight", {out, in}, start), add(key + ".bias", {out}, {})};
}

at::Tensor Layers::add(const std::string& key, const Shape& shape, const Initializer& start) {
  const bool bias = shape.size() == 1;
  const int64_t rest = bias ? 1 : volume(shape) / (shape[0] * shape[1]);
  const TensorSpec spec{
      .key = key,
      .shape = shape,
      .initializer = bias ? Initializer{.kind = Initializer::Kind::kConstant} : start,
      .fan_in = bias ? 1 : shape[1] * rest,
      .fan_out = shape[0] * rest};
  at::Tensor tensor =
      seed_.has_value() ? initial_value(spec, *seed_) : at::empty(shape, at::kFloat);
  if (tensor.dim() == 4) tensor = tensor.contiguous(at::MemoryFormat::ChannelsLast);
  tensors_.emplace_back(key, tensor.requires_grad_());
  return tensors_.back().second;
}

at::Tensor rectified(const at::Tensor& x) {
  at::Tensor y = x;
  return at::relu_(y);
}

}  // namespace striate
