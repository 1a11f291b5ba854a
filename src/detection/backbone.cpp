// Feature Pyramid Networks for Object Detection
// T.-Y. Lin, P. Dollar, R. Girshick, K. He, B. Hariharan, S. Belongie, 2017
// https://arxiv.org/abs/1612.03144
#include "detection/backbone.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "striate/models/models.h"

namespace striate {

namespace {

constexpr const char* kCounter = "num_batches_tracked";

Graph with_eps(const Graph& graph, double eps) {
  Graph result(graph.name(), graph.input_shape());
  for (size_t i = 1; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    Op op = node.op;
    if (auto* norm = std::get_if<BatchNorm2d>(&op)) norm->eps = eps;
    result.append(node.name, op, std::vector<Value>(node.inputs.begin(), node.inputs.end()));
  }
  for (const auto& [name, value] : graph.outputs()) result.set_output(name, value);
  result.initialization = graph.initialization;
  return result;
}

Graph graph_of(const DetectorOptions& options, const GraphPart& part) {
  const Graph whole = build_model(options.backbone);
  if (options.batch_norm_eps < 0) return part_of(whole, part);
  return part_of(with_eps(whole, options.batch_norm_eps), part);
}

std::shared_ptr<Network> make_network(const Graph& graph, std::optional<uint64_t> seed) {
  if (seed.has_value()) return std::make_shared<Network>(graph, *seed);
  Weights undetermined;
  for (const TensorSpec& spec : tensors(graph)) {
    if (spec.kind == TensorSpec::Kind::kCounter) continue;
    undetermined.tensors[spec.key] = at::empty(spec.shape, at::kFloat);
  }
  return std::make_shared<Network>(graph, undetermined, Layout::kChannelsLast,
                                   WeightMemory::kShared);
}

bool has_linear(const Graph& graph) {
  return std::ranges::any_of(
      graph.nodes(), [](const Node& node) { return std::holds_alternative<Linear>(node.op); });
}

bool has_node(const Graph& graph, const std::string& name) {
  return std::ranges::find(graph.nodes(), name, &Node::name) != graph.nodes().end();
}

}  // namespace

NetworkPart::NetworkPart(const DetectorOptions& options, const GraphPart& part,
                         std::optional<uint64_t> seed)
    : network_(make_network(graph_of(options, part), seed)),
      any_size_(!has_linear(network_->graph())) {
  network_->freeze_batch_norms();
  if (has_node(network_->graph(), options.freeze_up_to)) {
    network_->freeze_up_to(options.freeze_up_to);
  }
}

std::vector<at::Tensor> NetworkPart::outputs(const at::Tensor& x) {
  if (!at::GradMode::is_enabled() && x.scalar_type() == at::kFloat) {
    if (fused_ == nullptr) {
      fused_ = std::make_unique<FusedNetwork>(
          *network_, FusedOptions{.every_output = true, .any_size = any_size_});
    }
    return fused_->outputs(x);
  }
  network_->train(at::GradMode::is_enabled());
  const NamedValues values = network_->forward(x, {.any_size = any_size_});
  std::vector<at::Tensor> outputs;
  for (const auto& [name, value] : network_->graph().outputs()) outputs.push_back(values.at(name));
  return outputs;
}

void NetworkPart::load(const Weights& weights) {
  Weights own;
  for (const auto& [key, tensor] : network_->tensors()) {
    const auto found = weights.tensors.find(key);
    if (found != weights.tensors.end()) own.tensors[key] = found->second;
  }
  load_weights(*network_, own);
  weights_changed();
}

void NetworkPart::to(at::ScalarType type) {
  network_->to(type);
  weights_changed();
}

const Shape& NetworkPart::output_shape(size_t index) const {
  const Graph& graph = network_->graph();
  return graph.shape(graph.outputs().at(index).second);
}

void NetworkPart::append_tensors(const std::string& prefix, NamedTensors& tensors) const {
  for (const auto& [key, tensor] : network_->tensors()) {
    if (!key.ends_with(kCounter)) tensors.emplace_back(prefix + key, tensor);
  }
}

Backbone::Backbone(const DetectorOptions& options, std::optional<uint64_t> seed, Layers& layers)
    : body_(options, {.ends = options.maps}, seed), channels_(options.pyramid_channels) {
  if (!options.freeze_up_to.empty()) build_model(options.backbone).find(options.freeze_up_to);
  for (size_t i = 0; i < options.maps.size(); ++i) {
    if (body_.output_shape(i).size() != 3) {
      throw std::invalid_argument(fmt::format("{} of {} is no feature map but {}", options.maps[i],
                                              options.backbone, to_string(body_.output_shape(i))));
    }
  }
  if (channels_ == 0) {
    if (options.maps.size() != 1) {
      throw std::invalid_argument("without a feature pyramid a detector has one feature map");
    }
    channels_ = body_.output_shape(0).front();
    return;
  }
  const auto start = [](int64_t fan_in) {
    return Initializer{.kind = Initializer::Kind::kUniform,
                       .value = std::sqrt(3.0 / static_cast<double>(fan_in))};
  };
  for (size_t i = 0; i < options.maps.size(); ++i) {
    const int64_t in = body_.output_shape(i).front();
    inner_.push_back(layers.conv("backbone.fpn.inner_blocks." + std::to_string(i) + ".0", in,
                                 {.out_channels = channels_, .kernel_size = 1}, start(in)));
  }
  for (size_t i = 0; i < options.maps.size(); ++i) {
    outer_.push_back(layers.conv("backbone.fpn.layer_blocks." + std::to_string(i) + ".0", channels_,
                                 {.out_channels = channels_, .kernel_size = 3, .padding = 1},
                                 start(9 * channels_)));
  }
}

std::vector<at::Tensor> Backbone::maps(const at::Tensor& images) {
  const std::vector<at::Tensor> maps = body_.outputs(images);
  return inner_.empty() ? maps : pyramid(maps);
}

// Fig. 3, from the coarsest map to the finest; and one of half the size of the coarsest on top.
std::vector<at::Tensor> Backbone::pyramid(const std::vector<at::Tensor>& maps) const {
  std::vector<at::Tensor> result(maps.size());
  at::Tensor merged;
  for (size_t i = maps.size(); i-- > 0;) {
    at::Tensor lateral = inner_[i](maps[i]);
    if (merged.defined()) {
      lateral = lateral + at::upsample_nearest2d(merged, lateral.sizes().slice(2));
    }
    merged = lateral;
    result[i] = outer_[i](merged);
  }
  result.push_back(at::max_pool2d(result.back(), 1, 2));
  return result;
}

}  // namespace striate
