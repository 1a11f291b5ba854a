#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "striate/graph/ops.h"

namespace striate {

/// How a weight is filled before training.
struct Initializer {
  enum class Kind {
    kConstant,       ///< `value`
    kNormal,         ///< mean 0, standard deviation `value`
    kUniform,        ///< in [-value, value]
    kKaimingFanOut,  ///< normal, standard deviation sqrt(2 / fan_out) (he2015)
    kKaimingFanIn,   ///< normal, standard deviation sqrt(2 / fan_in) (he2015)
    kFanInUniform,   ///< in [-value / fan_in, value / fan_in] (lecun1998)
    kTorchDefault,   ///< in [-1 / sqrt(fan_in), 1 / sqrt(fan_in)], as torch.nn's layers
    kXavierUniform,  ///< in ±sqrt(6 / (fan_in + fan_out)) (glorot2010, eq. 16)
    kTable,          ///< the numbers of `table`
  };
  Kind kind = Kind::kTorchDefault;
  double value = 0;
  std::vector<float> table = {};
};

/// The rule of a whole network. `exceptions` go by tensor key ("layer1.0.bn2.weight").
struct Initialization {
  Initializer conv_weight = {};
  Initializer conv_bias = {};
  Initializer linear_weight = {};
  Initializer linear_bias = {};
  std::map<std::string, Initializer> exceptions = {};
};

/// A value in a graph: the output of one node.
struct Value {
  int64_t node = -1;
};

struct Node {
  std::string name;  ///< dotted, unique: "layer1.0.conv1"
  Op op;
  std::vector<int64_t> inputs;  ///< earlier nodes
  Shape shape;                  ///< of its output, batch free
};

/// A network as data: nodes in topological order, with named outputs.
class Graph {
 public:
  Graph(std::string name, Shape input);

  const std::string& name() const { return name_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(Value value) const { return nodes_.at(static_cast<size_t>(value.node)); }
  const Shape& shape(Value value) const { return node(value).shape; }
  const Shape& input_shape() const { return nodes_.front().shape; }
  Value input() const { return {0}; }
  /// Name and node, in the order in which they were declared; "logits" of a classifier is first.
  const std::vector<std::pair<std::string, Value>>& outputs() const { return outputs_; }

  /// @throws LookupError  no node has that name (the message gives the nearest).
  Value find(const std::string& node_name) const;
  /// @throws LookupError  no output has that name.
  Value output(const std::string& output_name) const;

  /// Appends a node and infers its shape.
  /// @throws ShapeError  its inputs do not fit; std::invalid_argument  the name is taken.
  Value append(const std::string& node_name, Op op, const std::vector<Value>& inputs);
  /// Appends under `node_name`, or `node_name_1`, `_2` … when that is taken.
  Value append_unique(const std::string& node_name, Op op, const std::vector<Value>& inputs);
  void set_output(const std::string& output_name, Value value);

  Initialization initialization;
  /// Prefixes of tensors ("aux1.") that belong to parts which a builder's option left out: files of
  /// weights may hold them.
  std::vector<std::string> left_out;

 private:
  std::string name_;
  std::vector<Node> nodes_;
  std::map<std::string, int64_t> by_name_;
  std::map<std::string, int64_t> last_suffix_;
  std::vector<std::pair<std::string, Value>> outputs_;
};

/// Appends nodes to a graph under a dotted prefix, so that a builder reads like a forward pass.
/// Layers with weights are named by the caller; the others get the operator's usual name.
class Scope {
 public:
  explicit Scope(Graph& graph) : graph_(&graph) {}
  Scope operator/(const std::string& child) const;
  Scope operator/(int64_t child) const { return *this / std::to_string(child); }

  const Shape& shape(Value x) const { return graph_->shape(x); }
  int64_t channels(Value x) const { return shape(x).at(0); }

  Value conv2d(const std::string& name, Value x, Conv2d op) const;
  Value linear(const std::string& name, Value x, Linear op) const;
  Value batch_norm2d(const std::string& name, Value x, BatchNorm2d op = {}) const;
  Value channel_affine(const std::string& name, Value x) const;
  Value negative_squared_distance(const std::string& name, Value x,
                                  NegativeSquaredDistance op) const;

  Value relu(Value x, const std::string& name = "relu") const;
  Value scaled_tanh(Value x, ScaledTanh op = {}, const std::string& name = "tanh") const;
  Value max_pool2d(Value x, MaxPool2d op, const std::string& name = "maxpool") const;
  Value avg_pool2d(Value x, AvgPool2d op, const std::string& name = "avgpool") const;
  Value adaptive_avg_pool2d(Value x, AdaptiveAvgPool2d op,
                            const std::string& name = "avgpool") const;
  Value local_response_norm(Value x, LocalResponseNorm op, const std::string& name = "norm") const;
  Value fractal_join(const std::vector<Value>& inputs, FractalJoin op,
                     const std::string& name = "join") const;
  Value flatten(Value x, const std::string& name = "flatten") const;
  Value dropout(Value x, Dropout op = {}, const std::string& name = "dropout") const;
  Value add(Value a, Value b, const std::string& name = "add") const;
  Value concat(const std::vector<Value>& inputs, const std::string& name = "concat") const;
  Value subsample(Value x, Subsample op, const std::string& name = "subsample") const;
  Value pad_channels(Value x, PadChannels op, const std::string& name = "pad") const;

 private:
  Scope(Graph* graph, std::string prefix) : graph_(graph), prefix_(std::move(prefix)) {}
  Value named(const std::string& name, Op op, Value x) const;
  Value unnamed(const std::string& name, Op op, const std::vector<Value>& inputs) const;

  Graph* graph_;
  std::string prefix_;
};

/// Checks what the rest of the program relies on: unique names, inputs before uses, shapes as
/// inferred, at least one output, every node used, exceptions that name tensors.
/// @throws std::logic_error  naming the node.
void verify(const Graph& graph);

}  // namespace striate
