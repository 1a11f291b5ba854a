#include "striate/runtime/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "runtime/differences.h"
#include "runtime/node_run.h"
#include "runtime/plan.h"
#include "runtime/recompute.h"
#include "runtime/stages.h"
#include "striate/base/error.h"
#include "striate/runtime/initialize.h"

namespace striate {

struct Network::Pass {
  bool needed(int64_t node) const { return inputs[static_cast<size_t>(node)].has_value(); }

  std::vector<std::optional<std::vector<int64_t>>> inputs;  // by node; of one not needed, none
  std::optional<double> statistics_momentum;                // see ForwardOptions
  Execution execution;
  const std::vector<PlannedStep>* steps = nullptr;
};

Network::Network(Graph graph, uint64_t seed, Layout layout)
    : torch::nn::Module(graph.name()),
      graph_(std::move(graph)),
      layout_(layout),
      specs_(striate::tensors(graph_)) {
  for (const TensorSpec& spec : specs_) register_tensor(spec, in_layout(initial_value(spec, seed)));
  plan();
}

Network::Network(Graph graph, const Weights& weights, Layout layout, WeightMemory memory)
    : torch::nn::Module(graph.name()),
      graph_(std::move(graph)),
      layout_(layout),
      specs_(striate::tensors(graph_)) {
  check_weights(graph_, weights);
  for (const TensorSpec& spec : specs_) {
    const at::ScalarType type = spec.kind == TensorSpec::Kind::kCounter ? at::kLong : at::kFloat;
    const auto found = weights.tensors.find(spec.key);
    if (found == weights.tensors.end()) {
      register_tensor(spec, in_layout(at::zeros(spec.shape, type)));
      continue;
    }
    const at::Tensor value = in_layout(found->second.detach().to(type));
    const bool shared = value.is_alias_of(found->second);
    register_tensor(spec, shared && memory == WeightMemory::kCopied ? value.clone() : value);
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
  steps_.resize(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    steps_[i] = node_tensors(*this, static_cast<int64_t>(i));
    drops_ = drops_ || std::holds_alternative<StochasticDepth>(nodes[i].op) ||
             std::holds_alternative<FractalJoin>(nodes[i].op);
  }
  plain_ = plan_steps(graph_, /*fuse=*/false);
  fused_ = plan_steps(graph_, /*fuse=*/true);
}

at::Tensor Network::tensor(const std::string& key) const {
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) return tensors_[found->second].second;
  std::vector<std::string> keys;
  for (const auto& [name, value] : tensors_) keys.push_back(name);
  throw unknown_name("weight of " + graph_.name(), key, keys);
}

void Network::freeze_up_to(const std::string& node_name) {
  const std::vector<bool> frozen = with_ancestors(graph_, graph_.find(node_name));
  for (size_t i = 0; i < steps_.size(); ++i) steps_[i].frozen = steps_[i].frozen || frozen[i];
  for (size_t i = 0; i < specs_.size(); ++i) {
    if (specs_[i].kind == TensorSpec::Kind::kParameter &&
        frozen[static_cast<size_t>(specs_[i].node)]) {
      tensors_[i].second.set_requires_grad(false);
    }
  }
}

void Network::freeze_batch_norms() {
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (!std::holds_alternative<BatchNorm2d>(graph_.nodes()[i].op)) continue;
    steps_[i].frozen = true;
    for (const char* name : {"weight", "bias"}) {
      steps_[i].tensors.at(name).set_requires_grad(false);
    }
  }
}

namespace {

// The columns of a FractalNet are 0 … columns - 1; 0 for another network.
int64_t column_count(const Graph& graph) {
  int64_t count = 0;
  for (const Node& node : graph.nodes()) {
    const auto* join = std::get_if<FractalJoin>(&node.op);
    if (join != nullptr) count = std::max(count, std::ranges::max(join->columns) + 1);
  }
  return count;
}

bool chance(double p) {
  return at::rand({1}).item<double>() < p;
}

// Each input by itself, but one at least stays.
std::vector<int64_t> drop_locally(const Node& node, const FractalJoin& join) {
  std::vector<int64_t> kept;
  for (const int64_t input : node.inputs) {
    if (!chance(join.drop)) kept.push_back(input);
  }
  if (!kept.empty()) return kept;
  const int64_t any = at::randint(static_cast<int64_t>(node.inputs.size()), {1}).item<int64_t>();
  return {node.inputs[static_cast<size_t>(any)]};
}

// The column's input; all of a join off the column, which nothing on it asks for.
std::vector<int64_t> column_input(const Node& node, const FractalJoin& join, int64_t column) {
  const auto place = std::ranges::find(join.columns, column) - join.columns.begin();
  if (place == std::ssize(join.columns)) return node.inputs;
  return {node.inputs[static_cast<size_t>(place)]};
}

double global_probability(const Graph& graph) {
  for (const Node& node : graph.nodes()) {
    if (const auto* join = std::get_if<FractalJoin>(&node.op)) return join->global;
  }
  return 0;
}

}  // namespace

void Network::use_column(std::optional<int64_t> column) {
  const int64_t count = column_count(graph_);
  if (column.has_value() && (*column < 0 || *column >= count)) {
    throw std::invalid_argument(count == 0
                                    ? graph_.name() + " has no columns: only a FractalNet has"
                                    : fmt::format("{} has no column {}: they are 0 to {}",
                                                  graph_.name(), *column, count - 1));
  }
  column_ = column;
}

// From the outputs back to the input, so that what no kept path reaches stays out.
Network::Pass Network::draw_pass(const std::vector<int64_t>& wanted) const {
  const bool draws = is_training() && drops_;
  std::optional<int64_t> column;
  if (!draws) column = column_;
  if (draws && column_count(graph_) > 0 && chance(global_probability(graph_))) {
    column = at::randint(column_count(graph_), {1}).item<int64_t>();
  }
  Pass pass;
  pass.inputs.resize(steps_.size());
  std::vector<bool> needed(steps_.size());
  for (const int64_t node : wanted) needed[static_cast<size_t>(node)] = true;
  for (size_t i = steps_.size(); i-- > 0;) {
    if (!needed[i]) continue;
    const Node& node = graph_.nodes()[i];
    const auto* depth = std::get_if<StochasticDepth>(&node.op);
    const auto* join = std::get_if<FractalJoin>(&node.op);
    std::vector<int64_t> inputs = node.inputs;
    if (draws && depth != nullptr && !chance(depth->survival)) inputs.clear();
    if (join != nullptr && column.has_value()) {
      inputs = column_input(node, *join, *column);
    } else if (join != nullptr && draws) {
      inputs = drop_locally(node, *join);
    }
    for (const int64_t input : inputs) needed[static_cast<size_t>(input)] = true;
    pass.inputs[i] = std::move(inputs);
  }
  return pass;
}

at::Tensor Network::execute(const PlannedStep& planned, int64_t index, const Pass& pass,
                            std::vector<at::Tensor>& values, bool reuse_input, bool again) {
  const int64_t at = planned.first_node(index);
  const Node& node = graph_.node({at});
  const NodeRun run{node,
                    steps_[static_cast<size_t>(at)],
                    *pass.inputs[static_cast<size_t>(at)],
                    values,
                    is_training(),
                    pass.statistics_momentum,
                    pass.execution,
                    reuse_input,
                    again};
  try {
    if (planned.pooled.has_value()) return run.run_group(*planned.pooled);
    return planned.group.has_value() ? run.run_group(*planned.group) : std::visit(run, node.op);
  } catch (const c10::Error& error) {
    throw Error(fmt::format("[{}] {}", node.name, error.what_without_backtrace()));
  }
}

void Network::set_checkpoint_stages(const std::vector<std::string>& names) {
  stages_ = find_stages(graph_, fused_, names);
}

const Stage* Network::stage_at(int64_t node, const Pass& pass, const Wanted& wanted) const {
  if (!is_training() || !at::GradMode::is_enabled()) return nullptr;
  const auto found = std::ranges::find(stages_, node, &Stage::first);
  if (found == stages_.end() || !pass.needed(found->output)) return nullptr;
  // What a caller wants to see is kept.
  const bool seen = std::ranges::any_of(wanted, [&](const auto& want) {
    return want.first >= found->first && want.first <= found->last && want.first != found->output;
  });
  return seen ? nullptr : &*found;
}

at::Tensor Network::run_stage(const Stage& stage, const std::shared_ptr<const Pass>& pass,
                              const at::Tensor& input) {
  Recomputation part;
  for (int64_t i = stage.first; i <= stage.last; ++i) {
    for (const auto& [name, tensor] : steps_[static_cast<size_t>(i)].tensors) {
      if (tensor.requires_grad()) part.parameters.push_back(tensor);
    }
    part.draws = part.draws || std::holds_alternative<Dropout>(graph_.node({i}).op);
  }
  part.compute = [this, stage, pass](const at::Tensor& x, bool again) {
    std::vector<at::Tensor> values(steps_.size());
    values[static_cast<size_t>(stage.input)] = x;
    for (int64_t i = stage.first; i <= stage.last; ++i) {
      const PlannedStep& step = (*pass->steps)[static_cast<size_t>(i)];
      if (pass->needed(i) && !step.absorbed) {
        const bool reuse = step.may_overwrite_input && graph_.node({i}).inputs[0] >= stage.first;
        values[static_cast<size_t>(i)] = execute(step, i, *pass, values, reuse, again);
      }
      for (const int64_t used : step.free_after) values[static_cast<size_t>(used)].reset();
    }
    return values[static_cast<size_t>(stage.output)];
  };
  const bool has_gradient = input.requires_grad() || !part.parameters.empty();
  return has_gradient ? recompute_in_backward(part, input) : part.compute(input, false);
}

void Network::check_images(const at::Tensor& images, bool any_size) const {
  Shape wanted = graph_.input_shape();
  if (any_size && images.dim() == 4 && wanted.size() == 3) {
    wanted = {wanted[0], images.size(2), images.size(3)};
  }
  if (images.dim() < 1 || images.sizes().slice(1) != at::IntArrayRef(wanted)) {
    throw ShapeError(fmt::format("[input] needs (N, {}, got {}", to_string(wanted).substr(1),
                                 to_string(images.sizes().vec())));
  }
}

at::Tensor Network::forward(const at::Tensor& images) {
  check_images(images, /*any_size=*/false);
  const auto& [name, value] = graph_.outputs().front();
  return run(images, {{value.node, {name}}}, {}, std::nullopt).at(name);
}

NamedValues Network::forward(const at::Tensor& images, const ForwardOptions& options) {
  check_images(images, options.any_size);
  Wanted wanted;
  for (const auto& [name, value] : graph_.outputs()) wanted[value.node].push_back(name);
  for (const std::string& name : options.taps) wanted[graph_.find(name).node].push_back(name);
  std::set<int64_t> leaves;
  for (const std::string& name : options.leaves) {
    leaves.insert(graph_.find(name).node);
    wanted[graph_.find(name).node].push_back(name);
  }
  return run(images, wanted, leaves, options.statistics_momentum);
}

NamedValues Network::run(const at::Tensor& images, const Wanted& wanted,
                         const std::set<int64_t>& leaves,
                         std::optional<double> statistics_momentum) {
  std::vector<int64_t> ends;
  for (const auto& [node, names] : wanted) ends.push_back(node);
  const auto shared_pass = std::make_shared<Pass>(draw_pass(ends));
  Pass& pass = *shared_pass;
  pass.statistics_momentum = statistics_momentum;

  // In PyTorch's layout, numbers are to be PyTorch's.
  if (layout_ == Layout::kChannelsLast) {
    pass.execution = execution_;
    if (images.scalar_type() != at::kFloat) pass.execution.precision = Precision::kFloat32;
  } else {
    pass.execution = {.convolution = ConvolutionAlgorithm::kDirect, .fuse = false};
  }
  const bool wants_absorbed = std::ranges::any_of(
      ends, [&](int64_t node) { return fused_[static_cast<size_t>(node)].absorbed; });
  const std::vector<PlannedStep>& steps = pass.execution.fuse && !wants_absorbed ? fused_ : plain_;
  pass.steps = &steps;

  NamedValues result;
  std::vector<at::Tensor> values(steps.size());
  const bool lower = pass.execution.precision == Precision::kBFloat16;
  values[0] = in_layout(lower ? images.to(at::kBFloat16) : images);
  int64_t staged = -1;  // the last node that a stage has run
  for (int64_t i = 0; i < std::ssize(steps); ++i) {
    const PlannedStep& step = steps[static_cast<size_t>(i)];
    const Node& node = graph_.node({i});
    at::Tensor& value = values[static_cast<size_t>(i)];
    if (const Stage* stage = stage_at(i, pass, wanted)) {
      staged = stage->last;
      values[static_cast<size_t>(stage->output)] =
          run_stage(*stage, shared_pass, values[static_cast<size_t>(stage->input)]);
    }
    if (i > staged && pass.needed(i) && !step.absorbed) {
      // A value that is wanted belongs to the caller.
      const bool reuse = step.may_overwrite_input && !wanted.contains(node.inputs[0]);
      value = execute(step, i, pass, values, reuse);
    }
    at::Tensor seen = value;
    if (leaves.contains(i)) {
      seen = value.detach().to(images.scalar_type()).requires_grad_();
      value = seen.to(value.scalar_type());
    }
    if (const auto want = wanted.find(i); want != wanted.end()) {
      Shape batch = node.shape;
      batch.insert(batch.begin(), images.size(0));
      for (const std::string& name : want->second) {
        result[name] =
            seen.defined() ? seen.to(images.scalar_type()) : at::zeros(batch, images.options());
      }
    }
    for (const int64_t used : step.free_after) values[static_cast<size_t>(used)].reset();
  }
  return result;
}

Weights weights_of(const Network& network) {
  Weights weights;
  for (const auto& [key, tensor] : network.tensors()) weights.tensors[key] = tensor.detach();
  return weights;
}

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
  const auto left_out = [&](const std::string& key) {
    return std::ranges::any_of(graph.left_out,
                               [&](const std::string& prefix) { return key.starts_with(prefix); });
  };
  for (const auto& [key, tensor] : weights.tensors) {
    if (!known.contains(key) && !left_out(key)) differences.add(key + " is not in the network");
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

std::string first_non_finite(Network& network, const at::Tensor& images) {
  at::NoGradGuard no_grad;
  if (!finite(images)) return "input";
  const std::string weight = first_non_finite_weight(network.tensors());
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
