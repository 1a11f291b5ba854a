#include "striate/runtime/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "striate/base/error.h"
#include "striate/runtime/initialize.h"

namespace striate {

// One node, ready to run: its tensors, and when its inputs and its value are no longer needed.
struct Network::Step {
  int64_t node = 0;
  std::map<std::string, at::Tensor> tensors;  // "weight", "bias", …
  at::Tensor connection_mask;                 // of a convolution with a connection table
  std::vector<int64_t> free_after;            // values whose last use is here
  bool may_overwrite_input = false;           // the first input has no other use and no gradient
                                              // formula reads it
};

namespace {

std::vector<int64_t> both(const Size2& size) {
  return {size.height, size.width};
}

// Whether a value must stay as it is because the gradient formula of the operator that made it
// reads it again, or because it shares its memory with that operator's input.
bool must_stay(const Op& op) {
  return std::visit(
      overloaded{
          [](const Input&) { return true; },        // the caller's
          [](const ReLU&) { return true; },         // read by its gradient
          [](const ScaledTanh&) { return true; },   // read by its gradient
          [](const MaxPool2d&) { return true; },    // read by its gradient
          [](const Flatten&) { return true; },      // a view
          [](const Subsample&) { return true; },    // a view
          [](const Dropout&) { return true; },      // in evaluation, its input itself
          [](const PadChannels&) { return true; },  // padded by nothing, perhaps its input itself
          [](const AdaptiveAvgPool2d&) { return true; },  // likewise, to its input's size
          [](const Conv2d&) { return false; },
          [](const Linear&) { return false; },
          [](const BatchNorm2d&) { return false; },
          [](const ChannelAffine&) { return false; },
          [](const AvgPool2d&) { return false; },
          [](const Add&) { return false; },
          [](const Concat&) { return false; },
          [](const NegativeSquaredDistance&) { return false; },
      },
      op);
}

at::Tensor make_connection_mask(const Conv2d& conv, const Shape& weight_shape) {
  at::Tensor mask = at::zeros(weight_shape);
  for (size_t out = 0; out < conv.connections.size(); ++out) {
    for (const int64_t in : conv.connections[out]) mask[static_cast<int64_t>(out)][in].fill_(1);
  }
  return mask;
}

}  // namespace

Network::Network(Graph graph, uint64_t seed, Layout layout)
    : torch::nn::Module(graph.name()),
      graph_(std::move(graph)),
      layout_(layout),
      specs_(striate::tensors(graph_)) {
  for (const TensorSpec& spec : specs_) register_tensor(spec, in_layout(initial_value(spec, seed)));
  plan();
}

Network::Network(Graph graph, const Weights& weights, Layout layout)
    : torch::nn::Module(graph.name()),
      graph_(std::move(graph)),
      layout_(layout),
      specs_(striate::tensors(graph_)) {
  check_weights(graph_, weights);
  for (const TensorSpec& spec : specs_) {
    const at::ScalarType type = spec.kind == TensorSpec::Kind::kCounter ? at::kLong : at::kFloat;
    const auto found = weights.tensors.find(spec.key);
    at::Tensor value = at::zeros(spec.shape, type);
    if (found != weights.tensors.end()) value.copy_(found->second);
    register_tensor(spec, in_layout(value));
  }
  plan();
}

void Network::to(torch::Dtype dtype, bool non_blocking) {
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : tensors_) {
    if (tensor.is_floating_point()) tensor.set_data(tensor.to(dtype, non_blocking));
  }
}

void Network::to(torch::Device device, torch::Dtype dtype, bool non_blocking) {
  to(device, non_blocking);
  to(dtype, non_blocking);
}

at::Tensor Network::in_layout(const at::Tensor& tensor) const {
  return tensor.dim() == 4 && layout_ == Layout::kChannelsLast
             ? tensor.contiguous(at::MemoryFormat::ChannelsLast)
             : tensor.contiguous();
}

Network::~Network() = default;

void Network::register_tensor(const TensorSpec& spec, const at::Tensor& value) {
  torch::nn::Module* module = this;
  std::string rest = spec.key;
  for (size_t dot = rest.find('.'); dot != std::string::npos; dot = rest.find('.')) {
    const std::string child = rest.substr(0, dot);
    const auto children = module->named_children();
    module = children.contains(child)
                 ? children[child].get()
                 : module->register_module(child, std::make_shared<torch::nn::Module>()).get();
    rest = rest.substr(dot + 1);
  }
  const at::Tensor registered = spec.kind == TensorSpec::Kind::kParameter
                                    ? module->register_parameter(rest, value)
                                    : module->register_buffer(rest, value);
  by_key_[spec.key] = tensors_.size();
  tensors_.emplace_back(spec.key, registered);
}

void Network::plan() {
  const auto& nodes = graph_.nodes();
  std::vector<int64_t> uses(nodes.size());
  std::vector<size_t> last_use(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    last_use[i] = i;
    for (const int64_t input : nodes[i].inputs) {
      ++uses[static_cast<size_t>(input)];
      last_use[static_cast<size_t>(input)] = i;
    }
  }
  std::set<int64_t> outputs;
  for (const auto& [name, value] : graph_.outputs()) outputs.insert(value.node);

  steps_.resize(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    Step& step = steps_[i];
    step.node = static_cast<int64_t>(i);
    for (const TensorSpec& spec : striate::tensors(graph_, {step.node})) {
      step.tensors[spec.key.substr(nodes[i].name.size() + 1)] = tensor(spec.key);
    }
    if (const auto* conv = std::get_if<Conv2d>(&nodes[i].op); conv && !conv->connections.empty()) {
      step.connection_mask = make_connection_mask(*conv, step.tensors.at("weight").sizes().vec());
    }
    if (!outputs.contains(step.node)) steps_[last_use[i]].free_after.push_back(step.node);
    if (!nodes[i].inputs.empty()) {
      const auto first = static_cast<size_t>(nodes[i].inputs[0]);
      step.may_overwrite_input =
          uses[first] == 1 && !outputs.contains(nodes[i].inputs[0]) && !must_stay(nodes[first].op);
    }
  }
}

at::Tensor Network::tensor(const std::string& key) const {
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) return tensors_[found->second].second;
  std::vector<std::string> keys;
  for (const auto& [name, value] : tensors_) keys.push_back(name);
  throw unknown_name("weight of " + graph_.name(), key, keys);
}

// Runs one operator on values that are already there.
struct Network::StepRun {
  const Node& node;
  const Step& step;
  const std::vector<at::Tensor>& values;
  bool training;
  bool reuse_input;  // the first input's memory may be overwritten

  const at::Tensor& input(size_t index = 0) const {
    return values[static_cast<size_t>(node.inputs[index])];
  }

  at::Tensor optional(const char* name) const {
    const auto found = step.tensors.find(name);
    return found == step.tensors.end() ? at::Tensor() : found->second;
  }

  const at::Tensor& weight() const { return step.tensors.at("weight"); }

  at::Tensor operator()(const Input&) const { return values[0]; }

  at::Tensor operator()(const Conv2d& conv) const {
    const at::Tensor kernel = step.connection_mask.defined()
                                  ? weight() * step.connection_mask.to(weight().options())
                                  : weight();
    return at::conv2d(input(), kernel, optional("bias"), both(conv.stride), both(conv.padding),
                      both(conv.dilation), conv.groups);
  }

  at::Tensor operator()(const Linear&) const {
    return at::linear(input(), weight(), optional("bias"));
  }

  at::Tensor operator()(const BatchNorm2d& norm) const {
    if (training) {
      const at::Tensor& x = input();
      if (x.size(0) * x.size(2) * x.size(3) < 2) {
        throw ShapeError(fmt::format(
            "[{}] batch-norm in training needs more than one value per channel, got a batch of {} "
            "with {}x{}",
            node.name, x.size(0), x.size(2), x.size(3)));
      }
      at::NoGradGuard no_grad;
      step.tensors.at("num_batches_tracked").add_(1);
    }
    return at::batch_norm(input(), weight(), optional("bias"), step.tensors.at("running_mean"),
                          step.tensors.at("running_var"), training, norm.momentum, norm.eps,
                          at::globalContext().userEnabledCuDNN());
  }

  at::Tensor operator()(const ReLU&) const {
    return reuse_input ? at::relu_(const_cast<at::Tensor&>(input())) : at::relu(input());
  }

  at::Tensor operator()(const ScaledTanh& tanh) const {
    return at::tanh(input() * tanh.slope) * tanh.amplitude;
  }

  at::Tensor operator()(const ChannelAffine&) const {
    return input() * weight().view({1, -1, 1, 1}) + optional("bias").view({1, -1, 1, 1});
  }

  at::Tensor operator()(const MaxPool2d& pool) const {
    return at::max_pool2d(input(), both(pool.kernel_size),
                          both(pool.stride.value_or(pool.kernel_size)), both(pool.padding),
                          /*dilation=*/1, pool.ceil_mode);
  }

  at::Tensor operator()(const AvgPool2d& pool) const {
    return at::avg_pool2d(input(), both(pool.kernel_size),
                          both(pool.stride.value_or(pool.kernel_size)), both(pool.padding),
                          pool.ceil_mode, pool.count_include_pad, pool.divisor_override);
  }

  at::Tensor operator()(const AdaptiveAvgPool2d& pool) const {
    return at::adaptive_avg_pool2d(input(), both(pool.output_size));
  }

  at::Tensor operator()(const Flatten&) const { return input().flatten(1); }

  at::Tensor operator()(const Dropout& dropout) const {
    return at::dropout(input(), dropout.p, training);
  }

  at::Tensor operator()(const Add&) const {
    at::Tensor sum = input();
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      sum = i == 1 && !reuse_input ? sum + input(i) : sum.add_(input(i));
    }
    return sum;
  }

  at::Tensor operator()(const Concat&) const {
    std::vector<at::Tensor> parts;
    for (size_t i = 0; i < node.inputs.size(); ++i) parts.push_back(input(i));
    return at::cat(parts, 1);
  }

  at::Tensor operator()(const Subsample& subsample) const {
    return input()
        .slice(2, 0, std::nullopt, subsample.stride.height)
        .slice(3, 0, std::nullopt, subsample.stride.width);
  }

  at::Tensor operator()(const PadChannels& pad) const {
    return at::constant_pad_nd(input(), {0, 0, 0, 0, pad.before, pad.after});
  }

  at::Tensor operator()(const NegativeSquaredDistance&) const {
    return -(input().unsqueeze(1) - weight().unsqueeze(0)).square().sum(2);
  }
};

at::Tensor Network::execute(const Step& step, std::vector<at::Tensor>& values, bool reuse_input) {
  const Node& node = graph_.nodes()[static_cast<size_t>(step.node)];
  try {
    return std::visit(StepRun{node, step, values, is_training(), reuse_input}, node.op);
  } catch (const c10::Error& error) {
    throw Error(fmt::format("[{}] {}", node.name, error.what_without_backtrace()));
  }
}

at::Tensor Network::forward(const at::Tensor& images) {
  return forward(images, ForwardOptions{}).at(graph_.outputs().front().first);
}

NamedValues Network::forward(const at::Tensor& images, const ForwardOptions& options) {
  const Shape& wanted = graph_.input_shape();
  if (images.dim() < 1 || images.sizes().slice(1) != at::IntArrayRef(wanted)) {
    throw ShapeError(fmt::format("[input] needs (N, {}, got {}", to_string(wanted).substr(1),
                                 to_string(images.sizes().vec())));
  }
  std::map<int64_t, std::vector<std::string>> taps;
  for (const std::string& name : options.taps) taps[graph_.find(name).node].push_back(name);

  NamedValues result;
  std::vector<at::Tensor> values(steps_.size());
  values[0] = in_layout(images);
  for (const Step& step : steps_) {
    const auto& inputs = graph_.nodes()[static_cast<size_t>(step.node)].inputs;
    // A tapped value belongs to the caller.
    const bool reuse = step.may_overwrite_input && !taps.contains(inputs[0]);
    values[static_cast<size_t>(step.node)] = execute(step, values, reuse);
    if (const auto tap = taps.find(step.node); tap != taps.end()) {
      for (const std::string& name : tap->second) {
        result[name] = values[static_cast<size_t>(step.node)];
      }
    }
    for (const int64_t value : step.free_after) values[static_cast<size_t>(value)].reset();
  }
  for (const auto& [name, value] : graph_.outputs()) {
    result[name] = values[static_cast<size_t>(value.node)];
  }
  return result;
}

Weights weights_of(const Network& network) {
  Weights weights;
  for (const auto& [key, tensor] : network.tensors()) weights.tensors[key] = tensor.detach();
  return weights;
}

namespace {

// What does not fit, a line each, and at most `limit` of them.
class Differences {
 public:
  void add(const std::string& line) {
    ++count_;
    if (count_ <= 5) text_ += "\n  " + line;
  }
  bool none() const { return count_ == 0; }
  std::string text() const {
    return count_ > 5 ? fmt::format("{}\n  … and {} more", text_, count_ - 5) : text_;
  }

 private:
  int64_t count_ = 0;
  std::string text_;
};

}  // namespace

void check_weights(const Graph& graph, const Weights& weights) {
  Differences differences;
  std::set<std::string> known;
  for (const TensorSpec& spec : tensors(graph)) {
    known.insert(spec.key);
    const auto found = weights.tensors.find(spec.key);
    if (found == weights.tensors.end()) {
      if (spec.kind != TensorSpec::Kind::kCounter) differences.add(spec.key + " is missing");
    } else if (found->second.sizes() != at::IntArrayRef(spec.shape)) {
      differences.add(fmt::format("{} is {}, the network's is {}", spec.key,
                                  to_string(found->second.sizes().vec()), to_string(spec.shape)));
    }
  }
  for (const auto& [key, tensor] : weights.tensors) {
    if (!known.contains(key)) differences.add(key + " is not in the network");
  }
  if (!differences.none()) {
    throw ShapeError(
        fmt::format("the weights are not those of {}:{}", graph.name(), differences.text()));
  }
}

void load_weights(Network& network, const Weights& weights) {
  check_weights(network.graph(), weights);
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : network.tensors()) {
    const auto found = weights.tensors.find(key);
    if (found != weights.tensors.end()) tensor.copy_(found->second);
  }
}

namespace {

bool finite(const at::Tensor& tensor) {
  return !tensor.is_floating_point() || at::isfinite(tensor).all().item<bool>();
}

}  // namespace

std::string first_non_finite_weight(const Network& network) {
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : network.tensors()) {
    if (!finite(tensor)) return key;
  }
  return "";
}

std::string first_non_finite(Network& network, const at::Tensor& images) {
  at::NoGradGuard no_grad;
  if (!finite(images)) return "input";
  const std::string weight = first_non_finite_weight(network);
  if (!weight.empty()) return weight;
  ForwardOptions options;
  for (const Node& node : network.graph().nodes()) options.taps.push_back(node.name);
  const NamedValues values = network.forward(images, options);
  for (const std::string& name : options.taps) {
    if (!finite(values.at(name))) return name;
  }
  return "";
}

}  // namespace striate
