#include "striate/graph/graph.h"

#include <fmt/format.h>

#include <stdexcept>

#include "striate/base/error.h"

namespace striate {

Graph::Graph(std::string name, Shape input) : name_(std::move(name)) {
  append("input", Input{std::move(input)}, {});
}

Value Graph::find(const std::string& node_name) const {
  const auto found = by_name_.find(node_name);
  if (found != by_name_.end()) return {found->second};
  std::vector<std::string> names;
  for (const Node& node : nodes_) names.push_back(node.name);
  throw unknown_name("node of " + name_, node_name, names);
}

Value Graph::output(const std::string& output_name) const {
  std::vector<std::string> names;
  for (const auto& [name, value] : outputs_) {
    if (name == output_name) return value;
    names.push_back(name);
  }
  throw unknown_name("output of " + name_, output_name, names);
}

Value Graph::append(const std::string& node_name, Op op, const std::vector<Value>& inputs) {
  if (by_name_.contains(node_name)) {
    throw std::invalid_argument(fmt::format("[{}] is the name of an earlier node", node_name));
  }
  Node node{.name = node_name, .op = std::move(op), .inputs = {}, .shape = {}};
  std::vector<Shape> shapes;
  for (const Value value : inputs) {
    node.inputs.push_back(value.node);
    shapes.push_back(shape(value));
  }
  node.shape = infer_shape(node.op, shapes, node_name);
  const auto index = static_cast<int64_t>(nodes_.size());
  nodes_.push_back(std::move(node));
  by_name_[node_name] = index;
  return {index};
}

Value Graph::append_unique(const std::string& node_name, Op op, const std::vector<Value>& inputs) {
  if (!by_name_.contains(node_name)) return append(node_name, std::move(op), inputs);
  std::string name;
  do {
    name = fmt::format("{}_{}", node_name, ++last_suffix_[node_name]);
  } while (by_name_.contains(name));
  return append(name, std::move(op), inputs);
}

void Graph::set_output(const std::string& output_name, Value value) {
  node(value);
  outputs_.emplace_back(output_name, value);
}

Scope Scope::operator/(const std::string& child) const {
  return Scope(graph_, prefix_ + child + ".");
}

Value Scope::named(const std::string& name, Op op, Value x) const {
  return graph_->append(prefix_ + name, std::move(op), {x});
}

Value Scope::unnamed(const std::string& name, Op op, const std::vector<Value>& inputs) const {
  return graph_->append_unique(prefix_ + name, std::move(op), inputs);
}

Value Scope::conv2d(const std::string& name, Value x, Conv2d op) const {
  return named(name, std::move(op), x);
}
Value Scope::linear(const std::string& name, Value x, Linear op) const {
  return named(name, op, x);
}
Value Scope::batch_norm2d(const std::string& name, Value x, BatchNorm2d op) const {
  return named(name, op, x);
}
Value Scope::channel_affine(const std::string& name, Value x) const {
  return named(name, ChannelAffine{}, x);
}
Value Scope::negative_squared_distance(const std::string& name, Value x,
                                       NegativeSquaredDistance op) const {
  return named(name, op, x);
}

Value Scope::relu(Value x, const std::string& name) const {
  return unnamed(name, ReLU{}, {x});
}
Value Scope::scaled_tanh(Value x, ScaledTanh op, const std::string& name) const {
  return unnamed(name, op, {x});
}
Value Scope::max_pool2d(Value x, MaxPool2d op, const std::string& name) const {
  return unnamed(name, op, {x});
}
Value Scope::avg_pool2d(Value x, AvgPool2d op, const std::string& name) const {
  return unnamed(name, op, {x});
}
Value Scope::adaptive_avg_pool2d(Value x, AdaptiveAvgPool2d op, const std::string& name) const {
  return unnamed(name, op, {x});
}
Value Scope::local_response_norm(Value x, LocalResponseNorm op, const std::string& name) const {
  return unnamed(name, op, {x});
}
Value Scope::fractal_join(const std::vector<Value>& inputs, FractalJoin op,
                          const std::string& name) const {
  return unnamed(name, std::move(op), inputs);
}
Value Scope::flatten(Value x, const std::string& name) const {
  return unnamed(name, Flatten{}, {x});
}
Value Scope::dropout(Value x, Dropout op, const std::string& name) const {
  return unnamed(name, op, {x});
}
Value Scope::add(Value a, Value b, const std::string& name) const {
  return unnamed(name, Add{}, {a, b});
}
Value Scope::concat(const std::vector<Value>& inputs, const std::string& name) const {
  return unnamed(name, Concat{}, inputs);
}
Value Scope::subsample(Value x, Subsample op, const std::string& name) const {
  return unnamed(name, op, {x});
}
Value Scope::pad_channels(Value x, PadChannels op, const std::string& name) const {
  return unnamed(name, op, {x});
}

}  // namespace striate
