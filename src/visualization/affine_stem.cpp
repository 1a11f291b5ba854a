#include "visualization/affine_stem.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <optional>
#include <vector>

#include "visualization/derived_network.h"
#include "visualization/score.h"

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
    rest_ = derived_network(network, {.ends = {wanted}});
    return;
  }
  end_ = graph.node(end).name;
  stem_ = derived_network(network, {.ends = {end_}});
  rest_ = derived_network(network, {.ends = {wanted}, .begin = end_});
}

at::Tensor AffineStem::value(const at::Tensor& images) const {
  if (stem_ == nullptr) return images;
  at::NoGradGuard no_grad;
  return stem_->forward(images, {.taps = {end_}}).at(end_);
}

at::Tensor AffineStem::gradient(const at::Tensor& images, const at::Tensor& of_value) const {
  if (stem_ == nullptr) return of_value;
  at::AutoGradMode recording(true);
  const NamedValues values = stem_->forward(images, {.taps = {end_}, .leaves = {"input"}});
  return torch::autograd::grad({values.at(end_)}, {values.at("input")}, {of_value})[0];
}

}  // namespace striate
