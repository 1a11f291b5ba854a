#include "visualization/affine_stem.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "visualization/derived_network.h"

namespace striate {

namespace {

// The only node that reads a value.
std::optional<Value> only_reader(const Graph& graph, Value value) {
  std::optional<Value> reader;
  for (int64_t i = 0; i < std::ssize(graph.nodes()); ++i) {
    for (const int64_t input : graph.node({i}).inputs) {
      if (input != value.node) continue;
      if (reader.has_value()) return std::nullopt;
      reader = Value{i};
    }
  }
  return reader;
}

bool is_affine(const Op& op) {
  return std::holds_alternative<Conv2d>(op) || std::holds_alternative<BatchNorm2d>(op);
}

// The last of the affine nodes that follow the images one by one, before `end`.
Value affine_end(const Graph& graph, Value end) {
  Value last = graph.input();
  for (auto next = only_reader(graph, last); next.has_value(); next = only_reader(graph, last)) {
    if (next->node == end.node || !is_affine(graph.node(*next).op)) break;
    last = *next;
  }
  return last;
}

}  // namespace

AffineStem::AffineStem(const Network& network, const Target& target) {
  const Graph& graph = network.graph();
  const std::string wanted = target_node(graph, target);
  const Value end = affine_end(graph, graph.find(wanted));
  if (end.node == graph.input().node) {
    rest_ = std::make_unique<ScoreGradient>(network, Derivation{.ends = {wanted}});
    return;
  }
  end_ = graph.node(end).name;
  stem_ = derived_network(network, {.ends = {end_}});
  rest_ = std::make_unique<ScoreGradient>(network, Derivation{.ends = {wanted}, .begin = end_});
}

at::Tensor AffineStem::value(const at::Tensor& images) const {
  if (stem_ == nullptr) return images;
  at::NoGradGuard no_grad;
  return stem_->forward(images, {.taps = {end_}}).at(end_);
}

at::Tensor AffineStem::gradient_of_value(const at::Tensor& images, const Target& target,
                                         const GradientSum& sum) {
  at::NoGradGuard no_grad;
  const int64_t own = images.size(0);
  const int64_t at_once = std::max<int64_t>(1, sum.batch_size / std::max<int64_t>(1, own));
  const int64_t passes = (sum.steps - 1) / at_once + 1;
  Shape shape = rest_->network().graph().input_shape();
  shape.insert(shape.begin(), own * ((sum.steps - 1) / passes + 1));
  const at::Tensor values =
      at::empty(shape, images.options(),
                shape.size() == 4 && rest_->network().layout() == Layout::kChannelsLast
                    ? at::MemoryFormat::ChannelsLast
                    : at::MemoryFormat::Contiguous);
  const at::Tensor total = at::zeros_like(values.narrow(0, 0, own));
  for (int64_t pass = 0; pass < passes; ++pass) {
    // Passes of equal length need the least memory.
    const int64_t first = sum.steps * pass / passes;
    const int64_t count = sum.steps * (pass + 1) / passes - first;
    for (int64_t i = 0; i < count; ++i) {
      sum.write_value(first + i, values.narrow(0, i * own, own));
    }
    const Target targets{.channels = target.channels.repeat({count}),
                         .node = target.node,
                         .position = target.position};
    const at::Tensor gradients = rest_->gradient(values.narrow(0, 0, count * own), targets);
    for (int64_t i = 0; i < count; ++i) {
      total.add_(gradients.narrow(0, i * own, own), sum.weight(first + i));
    }
    if (sum.progress) sum.progress(first + count, sum.steps);
  }
  return total;
}

at::Tensor AffineStem::gradient(const at::Tensor& images, const at::Tensor& of_value) const {
  if (stem_ == nullptr) return of_value;
  at::AutoGradMode recording(true);
  const NamedValues values = stem_->forward(images, {.taps = {end_}, .leaves = {"input"}});
  return torch::autograd::grad({values.at(end_)}, {values.at("input")}, {of_value})[0];
}

}  // namespace striate
