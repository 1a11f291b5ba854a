#include "striate/runtime/gradient_network.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <optional>
#include <stdexcept>
#include <vector>

#include "kernels/batch_norm.h"
#include "runtime/folded_convolution.h"
#include "runtime/fused_plan.h"
#include "runtime/image_convolution.h"
#include "runtime/kernel_types.h"
#include "runtime/node_run.h"
#include "runtime/packed_convolution.h"
#include "striate/base/error.h"
#include "striate/runtime/fused_network.h"

namespace striate {

namespace {

using kernels::Epilogue;
using kernels::KernelUse;

at::Tensor laid_out(const at::Tensor& value) {
  return value.dim() == 4 ? value.contiguous(at::MemoryFormat::ChannelsLast) : value.contiguous();
}

// A convolution without groups.
struct ConvolutionStep {
  FoldedConvolution folded;
  PackedConvolution<float> output;
  // Where the gradient is a convolution; of kernels of 1x1 with a stride, for the pixels they read.
  std::optional<PackedConvolution<float>> input_gradient;
  at::Tensor scaled_weight;  // for LibTorch's gradient, otherwise
};

bool skips_pixels(const Conv2d& conv) {
  return conv.kernel_size == 1 && conv.padding == 0 && !(conv.stride == 1);
}

struct GradientStep {
  FusedStep step;
  std::optional<ConvolutionStep> convolution;
  Affine norm;          // of a batch-norm by itself, float32
  NodeTensors tensors;  // of another operator
  // Of the pass, for an operator whose gradient is LibTorch's.
  std::vector<at::Tensor> leaves;
  at::Tensor recorded;
};

}  // namespace

class GradientNetwork::Steps {
 public:
  explicit Steps(const Network& network)
      : graph_(network.graph()),
        execution_(network.execution()),
        plan_(fused_plan(graph_, {.input_norms = false})),
        relus_(graph_.nodes().size()) {
    for (const FusedStep& step : plan_.steps) {
      steps_.push_back(prepare(network, step));
      const bool ends_in_relu = step.relu || is<ReLU>(step.node);
      if (ends_in_relu) relus_[at(step.output)] = std::get<ReLU>(op(step.output));
    }
  }

  at::Tensor forward(const at::Tensor& images) {
    const Shape& shape = graph_.input_shape();
    if (images.dim() < 1 || images.sizes().slice(1) != at::IntArrayRef(shape)) {
      throw ShapeError(fmt::format("[input] needs (N, {}, got {}", to_string(shape).substr(1),
                                   to_string(images.sizes().vec())));
    }
    const at::NoGradGuard no_grad;
    complete_ = false;
    values_.assign(graph_.nodes().size(), {});
    type_ = images.scalar_type();
    values_[0] = laid_out(images.detach().to(at::kCPU, at::kFloat));
    for (GradientStep& step : steps_) run_named(step, [&] { run(step); });
    complete_ = true;
    return values_[at(plan_.results.front())];
  }

  at::Tensor backward(const at::Tensor& gradient) {
    if (!complete_) throw std::logic_error("a gradient needs the values of a pass before it");
    const at::Tensor& value = values_[at(plan_.results.front())];
    if (gradient.sizes() != value.sizes()) {
      throw ShapeError(fmt::format("the gradient of [{}] needs the shape {}, got {}",
                                   graph_.outputs().front().first, to_string(value.sizes().vec()),
                                   to_string(gradient.sizes().vec())));
    }
    complete_ = false;
    const at::NoGradGuard no_grad;
    gradients_.assign(graph_.nodes().size(), {});
    readers_.assign(graph_.nodes().size(), 0);
    const int64_t result = plan_.results.front();
    readers_[at(result)] = 1;  // the caller
    for (const GradientStep& step : steps_) {
      for (const int64_t input : step.step.inputs) ++readers_[at(input)];
      if (step.step.shortcut.has_value()) ++readers_[at(*step.step.shortcut)];
    }
    add(result, gradient.detach().to(at::kCPU, at::kFloat));
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      run_named(*step, [&] { run_back(*step); });
      gradients_[at(step->step.output)].reset();
      values_[at(step->step.output)].reset();
    }
    at::Tensor images = gradients_[0].defined() ? gradients_[0] : at::zeros_like(values_[0]);
    values_.clear();
    gradients_.clear();
    return images.to(type_);
  }

 private:
  static size_t at(int64_t i) { return static_cast<size_t>(i); }
  const Op& op(int64_t node) const { return graph_.node({node}).op; }
  template <typename T>
  bool is(int64_t node) const {
    return std::holds_alternative<T>(op(node));
  }

  GradientStep prepare(const Network& network, const FusedStep& step) const {
    GradientStep prepared{.step = step};
    const auto* conv = std::get_if<Conv2d>(&op(step.node));
    if (conv != nullptr && conv->groups == 1) {
      prepared.convolution = prepare_convolution(network, *conv, step);
    } else if (conv != nullptr) {
      const FoldedConvolution folded = fold(network, step.node, step.norm);
      prepared.tensors.tensors["weight"] = scaled_weight(folded);
      if (folded.bias.defined()) prepared.tensors.tensors["bias"] = folded.bias;
    } else if (is<BatchNorm2d>(step.node)) {
      const Affine norm = running_affine(network, step.node);
      prepared.norm = {norm.scale.to(at::kFloat), norm.shift.to(at::kFloat)};
    } else {
      prepared.tensors = node_tensors(network, step.node);
      for (auto& [name, tensor] : prepared.tensors.tensors) tensor = tensor.detach();
    }
    return prepared;
  }

  ConvolutionStep prepare_convolution(const Network& network, const Conv2d& conv,
                                      const FusedStep& step) const {
    FoldedConvolution folded = fold(network, step.node, step.norm);
    const PackedConvolution<float>::Layer layer{
        .conv = conv, .weight = folded.weight, .scale = folded.scale};
    ConvolutionStep result{.folded = folded,
                           .output = {KernelUse::kOutput, execution_.convolution, layer},
                           .input_gradient = {}};
    PackedConvolution<float>::Layer without_stride = layer;
    if (skips_pixels(conv)) without_stride.conv.stride = 1;
    if (has_gradient_convolution(without_stride.conv) &&
        !reads_images(conv, folded.weight.size(1))) {
      result.input_gradient.emplace(KernelUse::kInputGradient, execution_.convolution,
                                    without_stride);
    } else {
      result.scaled_weight = scaled_weight(folded);
    }
    return result;
  }

  template <typename Run>
  void run_named(const GradientStep& step, const Run& run_step) const {
    try {
      run_step();
    } catch (const c10::Error& error) {
      throw Error(fmt::format("[{}] {}", graph_.node({step.step.node}).name,
                              error.what_without_backtrace()));
    }
  }

  const at::Tensor& input(const FusedStep& step, size_t i = 0) const {
    return values_[at(step.inputs[i])];
  }

  void run(GradientStep& prepared) {
    const FusedStep& step = prepared.step;
    at::Tensor& value = values_[at(step.output)];
    if (prepared.convolution.has_value()) {
      value = convolve(prepared);
    } else if (is<BatchNorm2d>(step.node)) {
      value = normalize(prepared);
    } else if (is<ReLU>(step.node)) {
      value = at::relu(input(step));
    } else {
      value = record(prepared);
    }
  }

  at::Tensor convolve(GradientStep& prepared) const {
    const FusedStep& step = prepared.step;
    ConvolutionStep& convolution = *prepared.convolution;
    Shape shape = graph_.shape({step.output});
    shape.insert(shape.begin(), input(step).size(0));
    at::Tensor output = at::empty(shape, input(step).options(), at::MemoryFormat::ChannelsLast);
    Epilogue<float> epilogue{.bias = data_or_null(convolution.folded.bias), .relu = step.relu};
    if (step.shortcut.has_value()) {
      epilogue.residual = data<float>(values_[at(*step.shortcut)]);
      epilogue.residual_stride = output.size(1);
    }
    convolution.output.run(input(step), {.input = data<float>(input(step)),
                                         .input_stride = input(step).size(1),
                                         .packed = nullptr,
                                         .epilogue = epilogue,
                                         .output = data<float>(output),
                                         .output_stride = output.size(1)});
    return output;
  }

  at::Tensor normalize(const GradientStep& prepared) const {
    const at::Tensor& x = input(prepared.step);
    at::Tensor y = at::empty_like(x);
    const int64_t channels = x.size(1);
    at::parallel_for(0, x.numel() / channels, 64, [&](int64_t begin, int64_t end) {
      kernels::norm_apply<float>({.x = data<float>(x) + begin * channels,
                                  .residual = nullptr,
                                  .scale = data<float>(prepared.norm.scale),
                                  .shift = data<float>(prepared.norm.shift),
                                  .relu = prepared.step.relu,
                                  .y = data<float>(y) + begin * channels},
                                 end - begin, channels);
    });
    return y;
  }

  // By an operator of LibTorch, for its gradient.
  at::Tensor record(GradientStep& prepared) const {
    const FusedStep& step = prepared.step;
    const at::AutoGradMode recording(true);
    std::vector<int64_t> inputs;
    prepared.leaves.clear();
    for (size_t i = 0; i < step.inputs.size(); ++i) {
      prepared.leaves.push_back(input(step, i).detach().requires_grad_());
      inputs.push_back(static_cast<int64_t>(i));
    }
    const NodeRun node{.node = graph_.node({step.node}),
                       .step = prepared.tensors,
                       .inputs = inputs,
                       .values = prepared.leaves,
                       .training = false,
                       .statistics_momentum = std::nullopt,
                       .execution = execution_,
                       .reuse_input = false,
                       .again = false};
    prepared.recorded = std::visit(node, op(step.node));
    at::Tensor value = prepared.recorded.detach();
    if (step.shortcut.has_value()) value = value + values_[at(*step.shortcut)];
    return laid_out(step.relu ? at::relu(value) : value);
  }

  void run_back(GradientStep& prepared) {
    const FusedStep& step = prepared.step;
    at::Tensor gradient = gradients_[at(step.output)];
    if (gradient.defined()) gradient = laid_out(gradient);
    if (step.shortcut.has_value()) add(*step.shortcut, gradient);
    if (!gradient.defined()) {
      for (const int64_t node : step.inputs) add(node, {});
    } else if (prepared.convolution.has_value()) {
      convolve_back(prepared, gradient);
    } else if (is<BatchNorm2d>(step.node)) {
      add(step.inputs[0], gradient * prepared.norm.scale.view({1, -1, 1, 1}));
    } else if (is<ReLU>(step.node)) {
      add(step.inputs[0], gradient);
    } else {
      const auto gradients =
          torch::autograd::grad({prepared.recorded}, prepared.leaves, {gradient}, std::nullopt,
                                /*create_graph=*/false, /*allow_unused=*/true);
      prepared.recorded.reset();
      prepared.leaves.clear();
      for (size_t i = 0; i < gradients.size(); ++i) add(step.inputs[i], gradients[i]);
    }
  }

  void convolve_back(GradientStep& prepared, const at::Tensor& gradient) {
    const auto& conv = std::get<Conv2d>(op(prepared.step.node));
    const int64_t node = prepared.step.inputs[0];
    ConvolutionStep& convolution = *prepared.convolution;
    const at::Tensor& x = values_[at(node)];
    if (convolution.input_gradient.has_value()) {
      if (!skips_pixels(conv)) return add_convolution(node, *convolution.input_gradient, gradient);
      const at::Tensor read = at::empty({x.size(0), x.size(1), gradient.size(2), gradient.size(3)},
                                        x.options(), at::MemoryFormat::ChannelsLast);
      convolve_gradient(*convolution.input_gradient, gradient, {}, read);
      const at::Tensor spread = at::zeros_like(x);
      spread.slice(2, 0, std::nullopt, conv.stride.height)
          .slice(3, 0, std::nullopt, conv.stride.width)
          .copy_(read);
      return add(node, spread);
    }
    if (reads_images(conv, x.size(1))) {
      return add(node, image_gradient(conv, x.sizes(), gradient, convolution.scaled_weight));
    }
    add(node,
        std::get<0>(at::convolution_backward(gradient, x, convolution.scaled_weight, std::nullopt,
                                             {conv.stride.height, conv.stride.width},
                                             {conv.padding.height, conv.padding.width},
                                             {conv.dilation.height, conv.dilation.width}, false,
                                             {0, 0}, conv.groups, {true, false, false})));
  }

  // Adds to a value's gradient, which passes the ReLU that made the value when it is complete.
  // Undefined: nothing.
  void add(int64_t node, const at::Tensor& gradient) {
    at::Tensor& sum = gradients_[at(node)];
    if (gradient.defined()) sum = sum.defined() ? sum + gradient : gradient;
    if (--readers_[at(node)] > 0 || !sum.defined()) return;
    const std::optional<ReLU>& relu = relus_[at(node)];
    if (!relu.has_value()) return;
    if (relu->gradient != ReluGradient::kDerivative) sum = at::relu(sum);
    if (relu->gradient != ReluGradient::kDeconvolution) {
      sum = at::threshold_backward(sum, values_[at(node)], 0);
    }
  }

  // The same of what a convolution of a gradient gives.
  void add_convolution(int64_t node, PackedConvolution<float>& convolution,
                       const at::Tensor& gradient) {
    const at::Tensor& value = values_[at(node)];
    at::Tensor& sum = gradients_[at(node)];
    if (sum.defined()) sum = laid_out(sum);
    const int64_t channels = value.size(1);
    Epilogue<float> epilogue;
    if (sum.defined()) {
      epilogue.residual = data<float>(sum);
      epilogue.residual_stride = channels;
    }
    const std::optional<ReLU>& relu = relus_[at(node)];
    if (--readers_[at(node)] == 0 && relu.has_value()) {
      epilogue.relu = relu->gradient != ReluGradient::kDerivative;
      if (relu->gradient != ReluGradient::kDeconvolution) {
        epilogue.gate = data<float>(value);
        epilogue.gate_stride = channels;
      }
    }
    const at::Tensor result = at::empty_like(value);
    convolve_gradient(convolution, gradient, epilogue, result);
    sum = result;
  }

  static void convolve_gradient(PackedConvolution<float>& convolution, const at::Tensor& gradient,
                                const Epilogue<float>& epilogue, const at::Tensor& result) {
    convolution.run(gradient, {.input = data<float>(gradient),
                               .input_stride = gradient.size(1),
                               .packed = nullptr,
                               .epilogue = epilogue,
                               .output = data<float>(result),
                               .output_stride = result.size(1)});
  }

  const Graph graph_;
  const Execution execution_;
  const FusedPlan plan_;
  std::vector<std::optional<ReLU>> relus_;  // that make a node's value
  std::vector<GradientStep> steps_;
  bool complete_ = false;             // all values of a pass are there
  at::ScalarType type_ = at::kFloat;  // of its images
  // Of the pass that runs, by node.
  std::vector<at::Tensor> values_;
  std::vector<at::Tensor> gradients_;
  std::vector<int64_t> readers_;  // whose part of the gradient is still missing
};

bool GradientNetwork::can_run(const Network& network) {
  return FusedNetwork::can_run(network) && !network.is_training() &&
         network.execution().precision == Precision::kFloat32;
}

GradientNetwork::GradientNetwork(const Network& network) {
  if (!can_run(network)) {
    throw std::invalid_argument(network.graph().name() +
                                " can't give gradients of images alone: it takes float32 on the "
                                "processor, channels last, in evaluation, with fusion allowed and "
                                "all columns");
  }
  steps_ = std::make_unique<Steps>(network);
}
GradientNetwork::~GradientNetwork() = default;

at::Tensor GradientNetwork::forward(const at::Tensor& images) {
  return steps_->forward(images);
}

at::Tensor GradientNetwork::backward(const at::Tensor& gradient) {
  return steps_->backward(gradient);
}

}  // namespace striate
