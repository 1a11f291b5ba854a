#include "striate/graph/analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "striate/base/error.h"

namespace striate {

namespace {

constexpr int64_t kFloatBytes = 4;
constexpr int64_t kIndexBytes = 8;  // max-pooling remembers where each maximum was, as int64

const Shape& input_shape(const Graph& graph, const Node& node, size_t index = 0) {
  return graph.shape({node.inputs.at(index)});
}

int64_t connected_kernels(const Conv2d& conv, int64_t in_channels) {
  if (conv.connections.empty()) return conv.out_channels * in_channels / conv.groups;
  int64_t count = 0;
  for (const auto& row : conv.connections) count += static_cast<int64_t>(row.size());
  return count;
}

class TensorList {
 public:
  TensorList(const Graph& graph, Value value) : graph_(graph), node_(graph.node(value)) {
    index_ = value.node;
  }

  std::vector<TensorSpec> operator()(const Conv2d& conv) {
    const int64_t in_channels = input_shape(graph_, node_)[0];
    const int64_t window = conv.kernel_size.height * conv.kernel_size.width;
    fan_in_ = in_channels / conv.groups * window;
    fan_out_ = conv.out_channels / conv.groups * window;
    const Initialization& rule = graph_.initialization;
    parameter("weight",
              {conv.out_channels, in_channels / conv.groups, conv.kernel_size.height,
               conv.kernel_size.width},
              rule.conv_weight);
    list_.back().count = connected_kernels(conv, in_channels) * window;
    if (conv.bias) parameter("bias", {conv.out_channels}, rule.conv_bias);
    return list_;
  }

  std::vector<TensorSpec> operator()(const Linear& linear) {
    fan_in_ = input_shape(graph_, node_)[0];
    fan_out_ = linear.out_features;
    const Initialization& rule = graph_.initialization;
    parameter("weight", {linear.out_features, fan_in_}, rule.linear_weight);
    if (linear.bias) parameter("bias", {linear.out_features}, rule.linear_bias);
    return list_;
  }

  std::vector<TensorSpec> operator()(const BatchNorm2d&) {
    const Shape channels = {node_.shape[0]};
    parameter("weight", channels, constant(1));
    parameter("bias", channels, constant(0));
    append("running_mean", channels, TensorSpec::Kind::kBuffer, constant(0));
    append("running_var", channels, TensorSpec::Kind::kBuffer, constant(1));
    append("num_batches_tracked", {}, TensorSpec::Kind::kCounter, constant(0));
    return list_;
  }

  std::vector<TensorSpec> operator()(const ChannelAffine&) {
    parameter("weight", {node_.shape[0]}, constant(1));
    parameter("bias", {node_.shape[0]}, constant(0));
    return list_;
  }

  std::vector<TensorSpec> operator()(const NegativeSquaredDistance& rbf) {
    fan_in_ = input_shape(graph_, node_)[0];
    append("weight", {rbf.out_features, fan_in_}, TensorSpec::Kind::kBuffer, {});
    return list_;
  }

  std::vector<TensorSpec> operator()(const Input&) { return {}; }
  std::vector<TensorSpec> operator()(const ReLU&) { return {}; }
  std::vector<TensorSpec> operator()(const ScaledTanh&) { return {}; }
  std::vector<TensorSpec> operator()(const MaxPool2d&) { return {}; }
  std::vector<TensorSpec> operator()(const AvgPool2d&) { return {}; }
  std::vector<TensorSpec> operator()(const AdaptiveAvgPool2d&) { return {}; }
  std::vector<TensorSpec> operator()(const LocalResponseNorm&) { return {}; }
  std::vector<TensorSpec> operator()(const Flatten&) { return {}; }
  std::vector<TensorSpec> operator()(const Dropout&) { return {}; }
  std::vector<TensorSpec> operator()(const StochasticDepth&) { return {}; }
  std::vector<TensorSpec> operator()(const FractalJoin&) { return {}; }
  std::vector<TensorSpec> operator()(const Add&) { return {}; }
  std::vector<TensorSpec> operator()(const Concat&) { return {}; }
  std::vector<TensorSpec> operator()(const Subsample&) { return {}; }
  std::vector<TensorSpec> operator()(const PadChannels&) { return {}; }

 private:
  static Initializer constant(double value) {
    return {.kind = Initializer::Kind::kConstant, .value = value};
  }

  void parameter(const char* suffix, Shape shape, const Initializer& initializer) {
    append(suffix, std::move(shape), TensorSpec::Kind::kParameter, initializer);
  }

  void append(const char* suffix, Shape shape, TensorSpec::Kind kind, Initializer initializer) {
    TensorSpec spec{.key = node_.name + "." + suffix,
                    .shape = std::move(shape),
                    .kind = kind,
                    .node = index_,
                    .initializer = std::move(initializer),
                    .fan_in = fan_in_,
                    .fan_out = fan_out_};
    spec.count = volume(spec.shape);
    const auto exception = graph_.initialization.exceptions.find(spec.key);
    if (exception != graph_.initialization.exceptions.end()) spec.initializer = exception->second;
    list_.push_back(std::move(spec));
  }

  const Graph& graph_;
  const Node& node_;
  int64_t index_ = 0;
  int64_t fan_in_ = 1;
  int64_t fan_out_ = 1;
  std::vector<TensorSpec> list_;
};

}  // namespace

std::vector<TensorSpec> tensors(const Graph& graph, Value value) {
  return std::visit(TensorList(graph, value), graph.node(value).op);
}

std::vector<TensorSpec> tensors(const Graph& graph) {
  std::vector<TensorSpec> all;
  for (int64_t i = 0; i < static_cast<int64_t>(graph.nodes().size()); ++i) {
    for (TensorSpec& spec : tensors(graph, {i})) all.push_back(std::move(spec));
  }
  return all;
}

int64_t parameter_count(const Graph& graph, Value value) {
  int64_t count = 0;
  for (const TensorSpec& spec : tensors(graph, value)) {
    if (spec.kind == TensorSpec::Kind::kParameter) count += spec.count;
  }
  return count;
}

int64_t parameter_count(const Graph& graph) {
  int64_t count = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(graph.nodes().size()); ++i) {
    count += parameter_count(graph, {i});
  }
  return count;
}

int64_t multiply_adds(const Graph& graph, Value value) {
  const Node& node = graph.node(value);
  const auto none = [](const auto&) { return int64_t{0}; };
  return std::visit(
      overloaded{
          [&](const Conv2d& conv) {
            return connected_kernels(conv, input_shape(graph, node)[0]) * conv.kernel_size.height *
                   conv.kernel_size.width * node.shape[1] * node.shape[2];
          },
          [&](const Linear& linear) { return linear.out_features * input_shape(graph, node)[0]; },
          [&](const NegativeSquaredDistance& rbf) {
            return rbf.out_features * input_shape(graph, node)[0];
          },
          [&](const Input& op) { return none(op); },
          [&](const BatchNorm2d& op) { return none(op); },
          [&](const ReLU& op) { return none(op); },
          [&](const ScaledTanh& op) { return none(op); },
          [&](const ChannelAffine& op) { return none(op); },
          [&](const MaxPool2d& op) { return none(op); },
          [&](const AvgPool2d& op) { return none(op); },
          [&](const AdaptiveAvgPool2d& op) { return none(op); },
          [&](const LocalResponseNorm& op) { return none(op); },
          [&](const Flatten& op) { return none(op); },
          [&](const Dropout& op) { return none(op); },
          [&](const StochasticDepth& op) { return none(op); },
          [&](const FractalJoin& op) { return none(op); },
          [&](const Add& op) { return none(op); },
          [&](const Concat& op) { return none(op); },
          [&](const Subsample& op) { return none(op); },
          [&](const PadChannels& op) { return none(op); },
      },
      node.op);
}

int64_t multiply_adds(const Graph& graph) {
  int64_t count = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(graph.nodes().size()); ++i) {
    count += multiply_adds(graph, {i});
  }
  return count;
}

int64_t output_bytes(const Node& node) {
  if (std::holds_alternative<Flatten>(node.op)) return 0;
  return volume(node.shape) * kFloatBytes;
}

namespace {

bool overwrites_input(const Op& op) {
  return std::holds_alternative<ReLU>(op) || std::holds_alternative<Dropout>(op);
}

// The values (by node) that a node's backward pass reads, and bytes of its own beside them.
struct Kept {
  std::vector<int64_t> values;
  int64_t own_bytes = 0;
};

Kept kept_for_backward(const Graph& graph, int64_t index) {
  const Node& node = graph.nodes()[static_cast<size_t>(index)];
  const Kept nothing;
  const auto input = [&] { return Kept{.values = {node.inputs[0]}}; };
  const auto output = [&] { return Kept{.values = {index}}; };
  return std::visit(
      overloaded{
          [&](const Input&) { return nothing; },
          [&](const Conv2d&) { return input(); },
          [&](const Linear&) { return input(); },
          [&](const BatchNorm2d&) { return input(); },
          [&](const ReLU&) { return output(); },
          [&](const ScaledTanh&) { return output(); },
          [&](const ChannelAffine&) { return input(); },
          [&](const MaxPool2d&) {
            return Kept{.values = {node.inputs[0]}, .own_bytes = volume(node.shape) * kIndexBytes};
          },
          [&](const AvgPool2d&) { return nothing; },
          [&](const AdaptiveAvgPool2d&) { return nothing; },
          [&](const LocalResponseNorm&) {  // and the sums of squares
            return Kept{.values = {node.inputs[0]}, .own_bytes = output_bytes(node)};
          },
          [&](const Flatten&) { return nothing; },
          [&](const StochasticDepth&) { return nothing; },
          [&](const FractalJoin&) { return nothing; },
          [&](const Dropout&) { return Kept{.values = {}, .own_bytes = volume(node.shape)}; },
          [&](const Add&) { return nothing; },
          [&](const Concat&) { return nothing; },
          [&](const Subsample&) { return nothing; },
          [&](const PadChannels&) { return nothing; },
          [&](const NegativeSquaredDistance&) { return input(); },
      },
      node.op);
}

// A flattened value lives in its input's memory.
int64_t storage(const Graph& graph, int64_t index) {
  const Node& node = graph.nodes()[static_cast<size_t>(index)];
  return std::holds_alternative<Flatten>(node.op) ? storage(graph, node.inputs[0]) : index;
}

int64_t peak_bytes(const Graph& graph) {
  const auto& nodes = graph.nodes();
  std::vector<size_t> last_use(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    last_use[i] = i;
    for (const int64_t input : nodes[i].inputs) {
      last_use[static_cast<size_t>(storage(graph, input))] = i;
    }
  }
  for (const auto& [name, value] : graph.outputs()) {
    last_use[static_cast<size_t>(storage(graph, value.node))] = nodes.size();
  }
  int64_t alive = 0;
  int64_t peak = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    alive += output_bytes(nodes[i]);
    peak = std::max(peak, alive);
    for (size_t j = 0; j <= i; ++j) {
      if (last_use[j] == i) alive -= output_bytes(nodes[j]);
    }
  }
  return peak;
}

}  // namespace

ActivationMemory activation_memory(const Graph& graph) {
  ActivationMemory memory;
  std::set<int64_t> kept_values;
  for (int64_t i = 0; i < static_cast<int64_t>(graph.nodes().size()); ++i) {
    const Node& node = graph.nodes()[static_cast<size_t>(i)];
    memory.all_bytes += output_bytes(node);
    if (!overwrites_input(node.op)) memory.in_place_bytes += output_bytes(node);
    const Kept kept = kept_for_backward(graph, i);
    memory.backward_bytes += kept.own_bytes;
    for (const int64_t value : kept.values) kept_values.insert(storage(graph, value));
  }
  for (const int64_t value : kept_values) {
    memory.backward_bytes += output_bytes(graph.nodes()[static_cast<size_t>(value)]);
  }
  memory.peak_bytes = peak_bytes(graph);
  return memory;
}

namespace {

ReceptiveField slide(const ReceptiveField& field, const Size2& kernel, const Size2& stride,
                     const Size2& padding = 0) {
  return {.size = {field.size.height + (kernel.height - 1) * field.stride.height,
                   field.size.width + (kernel.width - 1) * field.stride.width},
          .stride = {field.stride.height * stride.height, field.stride.width * stride.width},
          .begin = {field.begin.height - padding.height * field.stride.height,
                    field.begin.width - padding.width * field.stride.width}};
}

// What either of two fields sees.
ReceptiveField united(const ReceptiveField& a, const ReceptiveField& b) {
  const Size2 begin = {std::min(a.begin.height, b.begin.height),
                       std::min(a.begin.width, b.begin.width)};
  return {
      .size = {std::max(a.begin.height + a.size.height, b.begin.height + b.size.height) -
                   begin.height,
               std::max(a.begin.width + a.size.width, b.begin.width + b.size.width) - begin.width},
      .stride = {std::max(a.stride.height, b.stride.height),
                 std::max(a.stride.width, b.stride.width)},
      .begin = begin};
}

// A value that is made of all positions of an image.
ReceptiveField whole(const ReceptiveField& field, const Shape& shape) {
  if (shape.size() != 3) return field;
  return slide(field, {shape[1], shape[2]}, 1);
}

ReceptiveField adaptive(const ReceptiveField& field, const Shape& shape, const Size2& output) {
  const auto window = [](int64_t in, int64_t out) { return (in + out - 1) / out; };
  return slide(field, {window(shape[1], output.height), window(shape[2], output.width)},
               {std::max<int64_t>(1, shape[1] / output.height),
                std::max<int64_t>(1, shape[2] / output.width)});
}

}  // namespace

std::vector<ReceptiveField> receptive_fields(const Graph& graph) {
  std::vector<ReceptiveField> fields;
  for (const Node& node : graph.nodes()) {
    ReceptiveField field;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ReceptiveField& branch = fields[static_cast<size_t>(node.inputs[i])];
      field = i == 0 ? branch : united(field, branch);
    }
    const auto same = [&](const auto&) { return field; };
    fields.push_back(std::visit(
        overloaded{
            [&](const Conv2d& conv) {
              const Size2 extent = {conv.dilation.height * (conv.kernel_size.height - 1) + 1,
                                    conv.dilation.width * (conv.kernel_size.width - 1) + 1};
              return slide(field, extent, conv.stride, conv.padding);
            },
            [&](const MaxPool2d& pool) {
              return slide(field, pool.kernel_size, pool.stride.value_or(pool.kernel_size),
                           pool.padding);
            },
            [&](const AvgPool2d& pool) {
              return slide(field, pool.kernel_size, pool.stride.value_or(pool.kernel_size),
                           pool.padding);
            },
            [&](const AdaptiveAvgPool2d& pool) {
              return adaptive(field, input_shape(graph, node), pool.output_size);
            },
            [&](const Subsample& subsample) { return slide(field, 1, subsample.stride); },
            [&](const Flatten&) { return whole(field, input_shape(graph, node)); },
            [&](const Input& op) { return same(op); },
            [&](const Linear& op) { return same(op); },
            [&](const BatchNorm2d& op) { return same(op); },
            [&](const ReLU& op) { return same(op); },
            [&](const ScaledTanh& op) { return same(op); },
            [&](const ChannelAffine& op) { return same(op); },
            [&](const LocalResponseNorm& op) { return same(op); },
            [&](const Dropout& op) { return same(op); },
            [&](const StochasticDepth& op) { return same(op); },
            [&](const FractalJoin& op) { return same(op); },
            [&](const Add& op) { return same(op); },
            [&](const Concat& op) { return same(op); },
            [&](const PadChannels& op) { return same(op); },
            [&](const NegativeSquaredDistance& op) { return same(op); },
        },
        node.op));
  }
  return fields;
}

std::vector<bool> with_ancestors(const Graph& graph, Value value) {
  std::vector<bool> found(graph.nodes().size());
  found[static_cast<size_t>(value.node)] = true;
  for (int64_t i = value.node; i >= 0; --i) {
    if (!found[static_cast<size_t>(i)]) continue;
    for (const int64_t input : graph.node({i}).inputs) found[static_cast<size_t>(input)] = true;
  }
  return found;
}

Value last_weighted(const Graph& graph, Value value) {
  while (tensors(graph, value).empty()) {
    const Node& node = graph.node(value);
    if (node.inputs.empty()) throw LookupError(graph.name() + " has no layer with weights");
    value = {node.inputs[0]};
  }
  return value;
}

namespace {

// A block's residual branch: the deepest input of an Add.
struct Branch {
  int64_t add = 0;
  int64_t end = 0;
};

std::vector<Branch> residual_branches(const Graph& graph) {
  std::vector<int64_t> depth;  // the longest way from the input
  std::vector<Branch> branches;
  for (const Node& node : graph.nodes()) {
    int64_t deepest = -1;
    int64_t deepest_input = -1;
    for (const int64_t input : node.inputs) {
      if (depth[static_cast<size_t>(input)] > deepest) {
        deepest = depth[static_cast<size_t>(input)];
        deepest_input = input;
      }
    }
    if (std::holds_alternative<Add>(node.op)) {
      branches.push_back({.add = static_cast<int64_t>(depth.size()), .end = deepest_input});
    }
    depth.push_back(deepest + 1);
  }
  return branches;
}

}  // namespace

std::vector<Value> last_scales(const Graph& graph) {
  std::vector<Value> scales;
  for (const Branch& branch : residual_branches(graph)) {
    Value end{branch.end};
    if (std::holds_alternative<StochasticDepth>(graph.node(end).op)) {
      end = {graph.node(end).inputs[0]};
    }
    if (std::holds_alternative<BatchNorm2d>(graph.node(end).op)) scales.push_back(end);
  }
  return scales;
}

Graph with_zero_last_scales(Graph graph) {
  for (const Value scale : last_scales(graph)) {
    graph.initialization.exceptions[graph.node(scale).name + ".weight"] = {
        .kind = Initializer::Kind::kConstant, .value = 0};
  }
  return graph;
}

Graph with_stochastic_depth(const Graph& graph, double final_survival) {
  if (!(final_survival > 0 && final_survival <= 1)) {
    throw std::invalid_argument(
        fmt::format("a survival probability lies in (0, 1], got {}", final_survival));
  }
  const std::vector<Branch> branches = residual_branches(graph);
  if (branches.empty()) {
    throw std::invalid_argument(graph.name() + " has no residual blocks that could be dropped");
  }
  Graph result(graph.name(), graph.input_shape());
  result.initialization = graph.initialization;
  result.left_out = graph.left_out;
  std::vector<Value> moved = {result.input()};
  auto branch = branches.begin();
  for (int64_t i = 1; i < static_cast<int64_t>(graph.nodes().size()); ++i) {
    const Node& node = graph.node({i});
    std::vector<Value> inputs;
    for (const int64_t input : node.inputs) inputs.push_back(moved[static_cast<size_t>(input)]);
    if (branch != branches.end() && branch->add == i) {
      const auto block = static_cast<double>(branch - branches.begin() + 1);
      const double survival =
          1 - block / static_cast<double>(branches.size()) * (1 - final_survival);
      const auto end = std::ranges::find(node.inputs, branch->end) - node.inputs.begin();
      Value& input = inputs[static_cast<size_t>(end)];
      input = result.append(node.name + "_depth", StochasticDepth{.survival = survival}, {input});
      ++branch;
    }
    moved.push_back(result.append(node.name, node.op, inputs));
  }
  for (const auto& [name, value] : graph.outputs()) {
    result.set_output(name, moved[static_cast<size_t>(value.node)]);
  }
  return result;
}

}  // namespace striate
