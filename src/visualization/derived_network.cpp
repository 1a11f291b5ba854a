#include "visualization/derived_network.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <optional>
#include <set>

#include "striate/graph/analysis.h"

namespace striate {

namespace {

// The batch-norm of each convolution that nothing else reads and nobody asked for.
class Folds {
 public:
  Folds(const Network& network, const std::set<int64_t>& wanted, bool fold)
      : norms_(network.graph().nodes().size()) {
    const Graph& graph = network.graph();
    if (!fold) return;
    // In PyTorch's layout, numbers are to be PyTorch's.
    if (network.layout() == Layout::kContiguous || !network.execution().fuse) return;
    std::vector<std::vector<int64_t>> users(graph.nodes().size());
    for (int64_t i = 0; i < std::ssize(graph.nodes()); ++i) {
      for (const int64_t input : graph.node({i}).inputs) {
        users[static_cast<size_t>(input)].push_back(i);
      }
    }
    for (int64_t i = 0; i < std::ssize(graph.nodes()); ++i) {
      const auto* conv = std::get_if<Conv2d>(&graph.node({i}).op);
      const auto& by = users[static_cast<size_t>(i)];
      if (conv == nullptr || by.size() != 1 || wanted.contains(i)) continue;
      if (std::holds_alternative<BatchNorm2d>(graph.node({by[0]}).op)) {
        norms_[static_cast<size_t>(i)] = by[0];
        folded_.insert(by[0]);
      }
    }
  }

  std::optional<int64_t> norm_of(int64_t conv) const { return norms_[static_cast<size_t>(conv)]; }
  bool is_folded(int64_t norm) const { return folded_.contains(norm); }

 private:
  std::vector<std::optional<int64_t>> norms_;
  std::set<int64_t> folded_;
};

at::Tensor tensor_of(const Network& network, const Node& node, const char* name) {
  return network.tensor(node.name + "." + name).detach();
}

// weight and bias of a convolution with the batch-norm behind it.
void fold(const Network& network, const Node& conv, const Node& norm, Weights& weights) {
  const auto& op = std::get<BatchNorm2d>(norm.op);
  const auto wide = [&](const Node& node, const char* name) {
    return tensor_of(network, node, name).to(at::kDouble);
  };
  const at::Tensor scale = wide(norm, "weight") / (wide(norm, "running_var") + op.eps).sqrt();
  at::Tensor shift = wide(norm, "bias") - wide(norm, "running_mean") * scale;
  if (std::get<Conv2d>(conv.op).bias) shift = shift + wide(conv, "bias") * scale;
  const at::Tensor weight = tensor_of(network, conv, "weight");
  weights.tensors[norm.name + ".weight"] =
      weight * scale.to(weight.scalar_type()).view({-1, 1, 1, 1});
  weights.tensors[norm.name + ".bias"] = shift.to(weight.scalar_type());
}

std::vector<bool> needed_by(const Graph& graph, const std::set<int64_t>& wanted) {
  std::vector<bool> needed(graph.nodes().size());
  for (const int64_t node : wanted) {
    const std::vector<bool> of_node = with_ancestors(graph, {node});
    for (size_t i = 0; i < needed.size(); ++i) needed[i] = needed[i] || of_node[i];
  }
  return needed;
}

Op with_relu_gradient(const Op& op, ReluGradient gradient) {
  return std::holds_alternative<ReLU>(op) ? Op(ReLU{.gradient = gradient}) : op;
}

// The new graph and its weights, node by node.
class Deriver {
 public:
  Deriver(const Network& network, const Derivation& derivation)
      : network_(network),
        from_(network.graph()),
        derivation_(derivation),
        wanted_(wanted_nodes()),
        folds_(network, wanted_, derivation.fold),
        result_(from_.name(), input_shape()),
        moved_(from_.nodes().size()) {}

  std::unique_ptr<Network> derive() {
    std::vector<bool> needed = needed_by(from_, wanted_);
    moved_[0] = result_.input();
    if (!derivation_.begin.empty()) begin_at(from_.find(derivation_.begin), needed);
    for (int64_t i = 1; i < std::ssize(from_.nodes()); ++i) {
      if (needed[static_cast<size_t>(i)]) move(i);
    }
    for (const int64_t node : order_) {
      result_.set_output(from_.node({node}).name, moved_[static_cast<size_t>(node)]);
    }
    auto derived =
        std::make_unique<Network>(result_, weights_, network_.layout(), WeightMemory::kShared);
    if (!network_.tensors().empty()) take_type_and_device(*derived);
    derived->set_execution(network_.execution());
    if (has_joins()) derived->use_column(network_.column());
    derived->eval();
    for (const auto& [key, tensor] : derived->tensors()) tensor.requires_grad_(false);
    return derived;
  }

 private:
  Shape input_shape() const {
    if (!derivation_.begin.empty()) return from_.shape(from_.find(derivation_.begin));
    return derivation_.input.value_or(from_.input_shape());
  }

  std::set<int64_t> wanted_nodes() {
    for (const std::string& name : derivation_.ends) order_.push_back(from_.find(name).node);
    if (order_.empty()) order_.push_back(from_.outputs().front().second.node);
    std::set<int64_t> wanted(order_.begin(), order_.end());
    if (!derivation_.begin.empty()) wanted.insert(from_.find(derivation_.begin).node);
    return wanted;
  }

  // What the first node depends on stays out, and its value is the input.
  void begin_at(Value first, std::vector<bool>& needed) {
    const std::vector<bool> before = with_ancestors(from_, first);
    for (size_t i = 0; i < needed.size(); ++i) needed[i] = needed[i] && !before[i];
    moved_[static_cast<size_t>(first.node)] = result_.input();
  }

  void take_type_and_device(Network& derived) {
    const at::Tensor& weight = network_.tensors().front().second;
    if (weight.scalar_type() != at::kFloat) {
      derived.to(weight.scalar_type());
      load_weights(derived, weights_);
    }
    derived.torch::nn::Module::to(weight.device());
  }

  // What comes before the first join of a FractalNet has no columns.
  bool has_joins() const {
    return std::ranges::any_of(result_.nodes(), [](const Node& node) {
      return std::holds_alternative<FractalJoin>(node.op);
    });
  }

  void move(int64_t i) {
    const Node& node = from_.node({i});
    if (folds_.is_folded(i)) {
      moved_[static_cast<size_t>(i)] = moved_[static_cast<size_t>(node.inputs[0])];
      return;
    }
    std::vector<Value> inputs;
    for (const int64_t input : node.inputs) inputs.push_back(moved_[static_cast<size_t>(input)]);
    if (const auto norm = folds_.norm_of(i)) {
      Conv2d conv = std::get<Conv2d>(node.op);
      fold(network_, node, from_.node({*norm}), weights_);
      conv.bias = true;
      moved_[static_cast<size_t>(i)] = result_.append(from_.node({*norm}).name, conv, inputs);
      return;
    }
    for (const TensorSpec& spec : tensors(from_, {i})) {
      weights_.tensors[spec.key] = network_.tensor(spec.key).detach();
    }
    const Op op = with_relu_gradient(node.op, derivation_.relu);
    moved_[static_cast<size_t>(i)] = result_.append(node.name, op, inputs);
  }

  const Network& network_;
  const Graph& from_;
  const Derivation& derivation_;
  std::vector<int64_t> order_;  // of the wanted nodes
  std::set<int64_t> wanted_;
  Folds folds_;
  Graph result_;
  std::vector<Value> moved_;  // by node of the old graph
  Weights weights_;
};

}  // namespace

bool is_cut(const Graph& graph, Value node, Value end) {
  const std::vector<bool> before = with_ancestors(graph, node);
  const std::vector<bool> needed = with_ancestors(graph, end);
  for (size_t i = 0; i < needed.size(); ++i) {
    if (!needed[i] || before[i]) continue;
    for (const int64_t input : graph.nodes()[i].inputs) {
      if (before[static_cast<size_t>(input)] && input != node.node) return false;
    }
  }
  return true;
}

std::unique_ptr<Network> derived_network(const Network& network, const Derivation& derivation) {
  return Deriver(network, derivation).derive();
}

}  // namespace striate
