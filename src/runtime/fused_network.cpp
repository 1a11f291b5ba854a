#include "striate/runtime/fused_network.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <type_traits>

#include "kernels/batch_norm.h"
#include "kernels/cache.h"
#include "kernels/matrix_vector.h"
#include "runtime/folded_convolution.h"
#include "runtime/fused_plan.h"
#include "runtime/grouped_convolution.h"
#include "runtime/kernel_types.h"
#include "runtime/node_run.h"
#include "runtime/packed_convolution.h"
#include "runtime/pooling.h"
#include "striate/base/error.h"
#include "striate/graph/analysis.h"

namespace striate {

namespace {

using kernels::Epilogue;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

// T: what values between steps, and kernels, are kept in.
template <typename T>
struct PreparedStep {
  FusedStep step;
  NodeTensors tensors;  // of the operator, but for a convolution's
  FoldedConvolution folded;
  std::optional<PackedConvolution<T>> convolution;  // of one without groups
  PackedOnce grouped;                               // kernels of one with groups, packed
  PackedOnce grouped_weight;                        // or for LibTorch
  Affine norm;  // in front of a convolution, or a batch-norm by itself; float32
};

// Operators record nothing, and do not ask whether they should.
struct NoAutograd {
  at::NoGradGuard no_grad;
  at::AutoDispatchBelowADInplaceOrView no_dispatch;
};

template <typename T>
struct PreparedNetwork {
  const Op& op(int64_t node) const { return graph.node({node}).op; }

  Graph graph;
  ConvolutionAlgorithm algorithm;
  FusedPlan plan;
  FusedPrefix prefix = {};
  std::vector<PreparedStep<T>> steps = {};
};

size_t index(int64_t i) {
  return static_cast<size_t>(i);
}

template <typename T>
at::Tensor new_buffer(int64_t batch, const Shape& shape) {
  return at::empty({batch, shape[1], shape[2], shape[0]}, kScalarType<T>);
}

// Some images on their way through a network.
template <typename T>
class FusedPass {
 public:
  // `prefix_batch`: algorithms of the network's prefix are those for so many images.
  FusedPass(PreparedNetwork<T>& network, int64_t batch, int64_t prefix_batch)
      : network_(network),
        batch_(batch),
        prefix_batch_(prefix_batch),
        values_(network.graph.nodes().size()),
        strides_(network.graph.nodes().size()),
        buffers_(network.plan.buffers.size()) {}

  void take_images(const at::Tensor& images) { keep(0, images); }

  // A buffer is this memory.
  void take_buffer(int64_t buffer, const at::Tensor& memory) { buffers_[index(buffer)] = memory; }

  // Its values that earlier steps wrote are there.
  void take_values(int64_t buffer, size_t steps) {
    for (size_t i = 0; i < steps; ++i) {
      const int64_t node = network_.steps[i].step.output;
      if (network_.plan.places[index(node)].buffer == buffer) open(node);
    }
  }

  void run(size_t first, size_t end) {
    for (size_t i = first; i < end; ++i) {
      PreparedStep<T>& step = network_.steps[i];
      algorithm_batch_ = i < network_.prefix.steps ? prefix_batch_ : batch_;
      try {
        run(step);
      } catch (const c10::Error& error) {
        throw Error(fmt::format("[{}] {}", network_.graph.node({step.step.node}).name,
                                error.what_without_backtrace()));
      }
      for (const int64_t buffer : step.step.free_after) buffers_[index(buffer)].reset();
      for (const int64_t node : step.step.forget_after) values_[index(node)].reset();
    }
  }

  const at::Tensor& value(int64_t node) const { return values_[index(node)]; }

 private:
  static constexpr Precision kPrecision =
      std::is_same_v<T, float> ? Precision::kFloat32 : Precision::kBFloat16;

  const Op& op(int64_t node) const { return network_.op(node); }

  // Where a step's value is to be written.
  at::Tensor open(int64_t node) {
    const FusedPlace& place = network_.plan.places[index(node)];
    const Shape& whole = network_.plan.buffers[index(place.buffer)];
    at::Tensor& buffer = buffers_[index(place.buffer)];
    const int64_t channels = network_.graph.shape({node})[0];
    if (!buffer.defined()) buffer = new_buffer<T>(batch_, whole);
    const int64_t line = whole[2] * whole[0];
    values_[index(node)] = buffer.as_strided({batch_, channels, whole[1], whole[2]},
                                             {whole[1] * line, 1, line, whole[0]},
                                             buffer.storage_offset() + place.first_channel);
    strides_[index(node)] = whole[0];
    return values_[index(node)];
  }

  bool shares_its_buffer(int64_t node) const {
    return network_.plan.buffers[index(network_.plan.places[index(node)].buffer)] !=
           network_.graph.shape({node});
  }

  // A value that LibTorch made becomes a node's.
  void keep(int64_t node, const at::Tensor& value) {
    const at::Tensor typed = value.to(kScalarType<T>);
    const at::Tensor laid_out =
        typed.dim() == 4 ? typed.contiguous(kChannelsLast) : typed.contiguous();
    if (shares_its_buffer(node) ||
        buffers_[index(network_.plan.places[index(node)].buffer)].defined()) {
      open(node).copy_(laid_out);
      return;
    }
    buffers_[index(network_.plan.places[index(node)].buffer)] = laid_out;
    values_[index(node)] = laid_out;
    strides_[index(node)] = laid_out.size(1);
  }

  void run(PreparedStep<T>& prepared) {
    std::visit(overloaded{
                   [&](const Conv2d& conv) { run_convolution(prepared, conv); },
                   [&](const Linear&) { run_linear(prepared); },
                   [&](const BatchNorm2d&) { run_norm(prepared); },
                   [&](const MaxPool2d& op) { run_pool(prepared.step, op); },
                   [&](const AvgPool2d& op) { run_pool(prepared.step, op); },
                   [&](const AdaptiveAvgPool2d& op) { run_pool(prepared.step, op); },
                   [&](const Concat&) { copy_what_lies_elsewhere(prepared.step); },
                   [&](const auto&) { run_operator(prepared); },
               },
               op(prepared.step.node));
  }

  const at::Tensor& input(const FusedStep& step) const { return values_[index(step.inputs[0])]; }
  int64_t input_stride(const FusedStep& step) const { return strides_[index(step.inputs[0])]; }

  void run_convolution(PreparedStep<T>& prepared, const Conv2d& conv) {
    if (!prepared.convolution.has_value()) return run_grouped(prepared, conv);
    const FusedStep& step = prepared.step;
    const at::Tensor output = open(step.output);
    Epilogue<T> epilogue = {.bias = data_or_null(prepared.folded.bias), .relu = step.relu};
    if (step.shortcut.has_value()) {
      epilogue.residual = data<T>(values_[index(*step.shortcut)]);
      epilogue.residual_stride = strides_[index(*step.shortcut)];
    }
    prepared.convolution->run(input(step),
                              {.input = data<T>(input(step)),
                               .input_stride = input_stride(step),
                               .scale = data_or_null(prepared.norm.scale),
                               .shift = data_or_null(prepared.norm.shift),
                               .packed = nullptr,
                               .epilogue = epilogue,
                               .output = data<T>(output),
                               .output_stride = strides_[index(step.output)]},
                              algorithm_batch_);
  }

  void run_grouped(PreparedStep<T>& prepared, const Conv2d& conv) {
    const FusedStep& step = prepared.step;
    const FoldedConvolution& folded = prepared.folded;
    if (std::is_same_v<T, float> && network_.algorithm != ConvolutionAlgorithm::kDirect &&
        !step.shortcut.has_value() && can_be_grouped(conv, input(step))) {
      const at::Tensor& packed =
          prepared.grouped.get([&] { return pack_grouped(conv, scaled_weight(folded)); });
      return keep(step.output,
                  grouped_convolve(conv, input(step),
                                   {.packed = packed, .bias = folded.bias, .relu = step.relu}));
    }
    const at::Tensor& weight =
        prepared.grouped_weight.get([&] { return scaled_weight(folded).to(kScalarType<T>); });
    at::Tensor value = at::conv2d(
        input(step), weight, folded.bias.defined() ? folded.bias.to(kScalarType<T>) : folded.bias,
        {conv.stride.height, conv.stride.width}, {conv.padding.height, conv.padding.width},
        {conv.dilation.height, conv.dilation.width}, conv.groups);
    if (step.shortcut.has_value()) value += values_[index(*step.shortcut)];
    if (step.relu) at::relu_(value);
    keep(step.output, value);
  }

  // float32 of one image: memory decides, and LibTorch's product reads it by one thread. bfloat16
  // is a convolution of images of one pixel.
  void run_linear(PreparedStep<T>& prepared) {
    const FusedStep& step = prepared.step;
    if (std::is_same_v<T, float> && batch_ != 1) return run_operator(prepared);
    const at::Tensor x = input(step).contiguous();
    const at::Tensor& weight = prepared.tensors.tensors.at("weight");
    const auto found = prepared.tensors.tensors.find("bias");
    const float* bias =
        found == prepared.tensors.tensors.end() ? nullptr : data_or_null(found->second);
    const at::Tensor y = at::empty({batch_, weight.size(0)}, kScalarType<T>);
    if constexpr (std::is_same_v<T, float>) {
      const at::Tensor matrix = weight.contiguous();
      const kernels::MatrixVector product = {.matrix = data<T>(matrix),
                                             .columns = weight.size(1),
                                             .vector = data<T>(x),
                                             .bias = bias,
                                             .relu = step.relu,
                                             .result = data<T>(y)};
      at::parallel_for(0, weight.size(0), 16, [&](int64_t begin, int64_t end) {
        kernels::multiply_vector(product, begin, end);
      });
    } else {
      prepared.convolution->run(x.view({batch_, weight.size(1), 1, 1}),
                                {.input = data<T>(x),
                                 .input_stride = weight.size(1),
                                 .packed = nullptr,
                                 .epilogue = {.bias = bias, .relu = step.relu},
                                 .output = data<T>(y),
                                 .output_stride = weight.size(0)},
                                algorithm_batch_);
    }
    keep(step.output, y);
  }

  void run_norm(const PreparedStep<T>& prepared) {
    const FusedStep& step = prepared.step;
    const at::Tensor& x = input(step);
    const at::Tensor y = open(step.output);
    const int64_t channels = x.size(1);
    const int64_t x_stride = input_stride(step);
    const int64_t y_stride = strides_[index(step.output)];
    const bool dense = x_stride == channels && y_stride == channels;
    at::parallel_for(0, x.size(0) * x.size(2) * x.size(3), 64, [&](int64_t begin, int64_t end) {
      const int64_t count = dense ? end - begin : 1;
      for (int64_t row = begin; row < end; row += count) {
        kernels::norm_apply<T>({.x = data<T>(x) + row * x_stride,
                                .residual = nullptr,
                                .scale = data<float>(prepared.norm.scale),
                                .shift = data<float>(prepared.norm.shift),
                                .relu = step.relu,
                                .y = data<T>(y) + row * y_stride},
                               count, channels);
      }
    });
  }

  template <typename Pool>
  void run_pool(const FusedStep& step, const Pool& op) {
    const at::Tensor output = open(step.output);
    pool(op, {.input = input(step),
              .input_stride = input_stride(step),
              .output = output,
              .output_stride = strides_[index(step.output)]});
  }

  // Of a concatenation, most lies where it belongs.
  void copy_what_lies_elsewhere(const FusedStep& step) {
    FusedPlace next = network_.plan.places[index(step.output)];
    const at::Tensor output = open(step.output);
    int64_t channel = 0;
    for (const int64_t node : step.inputs) {
      const int64_t channels = network_.graph.shape({node})[0];
      const FusedPlace& place = network_.plan.places[index(node)];
      if (place.buffer != next.buffer || place.first_channel != next.first_channel) {
        output.narrow(1, channel, channels).copy_(values_[index(node)]);
      }
      next.first_channel += channels;
      channel += channels;
    }
  }

  void run_operator(const PreparedStep<T>& prepared) {
    const FusedStep& step = prepared.step;
    const NodeRun run{.node = network_.graph.node({step.node}),
                      .step = prepared.tensors,
                      .inputs = step.inputs,
                      .values = values_,
                      .training = false,
                      .statistics_momentum = std::nullopt,
                      .execution = {.precision = kPrecision},
                      .reuse_input = false};
    const at::Tensor value = std::visit(run, op(step.node));
    keep(step.output, step.relu ? at::relu(value) : value);
  }

  PreparedNetwork<T>& network_;
  const int64_t batch_;
  const int64_t prefix_batch_;
  int64_t algorithm_batch_ = 0;     // of the step that runs
  std::vector<at::Tensor> values_;  // by node
  std::vector<int64_t> strides_;    // by node: values from one pixel to the next
  std::vector<at::Tensor> buffers_;
};

}  // namespace

class FusedNetwork::Steps {
 public:
  virtual ~Steps() = default;
  virtual std::vector<at::Tensor> forward(const at::Tensor& images) = 0;
};

namespace {

template <typename T>
class TypedSteps final : public FusedNetwork::Steps {
 public:
  TypedSteps(const Network& network, const FusedOptions& options)
      : any_size_(options.any_size),
        network_{.graph = network.graph(),
                 .algorithm = network.execution().convolution,
                 .plan = fused_plan(
                     network.graph(),
                     {.outputs = options.every_output ? network.graph().outputs().size() : 1})} {
    network_.prefix = prefix_of_large_values(network_.graph, network_.plan);
    for (const FusedStep& step : network_.plan.steps) {
      network_.steps.push_back(prepare(network, step));
    }
  }

  std::vector<at::Tensor> forward(const at::Tensor& images) override {
    take_size_of(images);
    const Shape& shape = network_.graph.input_shape();
    if (images.dim() < 1 || images.sizes().slice(1) != at::IntArrayRef(shape)) {
      throw ShapeError(fmt::format("[input] needs (N, {}, got {}", to_string(shape).substr(1),
                                   to_string(images.sizes().vec())));
    }
    const NoAutograd no_autograd;
    const int64_t some = std::min(images_at_a_time(), images.size(0));
    FusedPass<T> pass(network_, images.size(0), some);
    size_t done = 0;
    if (keeps_threads_busy(images.size(0), some)) {
      pass.take_buffer(network_.prefix.buffer, run_prefix(images, some));
      pass.take_values(network_.prefix.buffer, network_.prefix.steps);
      done = network_.prefix.steps;
    } else {
      pass.take_images(images);
    }
    pass.run(done, network_.steps.size());
    std::vector<at::Tensor> results;
    for (const int64_t node : network_.plan.results) {
      results.push_back(pass.value(node).to(at::kFloat));
    }
    return results;
  }

 private:
  // Of the prefix: so many that the values of one operator fill a core's cache.
  int64_t images_at_a_time() const {
    const auto bytes = network_.prefix.values * static_cast<int64_t>(sizeof(T));
    if (bytes == 0) return std::numeric_limits<int32_t>::max();
    return std::max<int64_t>(1, kernels::cache_size() / 2 / bytes);
  }

  // Threads that take so many images at a time, and hardly wait for each other at the end.
  static bool keeps_threads_busy(int64_t count, int64_t some) {
    const int64_t threads = at::get_num_threads();
    const int64_t chunks = some == 0 ? 0 : (count - 1) / some + 1;
    const int64_t rounds = (chunks + threads - 1) / threads;
    return chunks > threads && 4 * chunks >= 3 * rounds * threads;
  }

  // Each thread takes some images after the other. Returns what later steps read.
  at::Tensor run_prefix(const at::Tensor& images, int64_t some) {
    const int64_t count = images.size(0);
    const at::Tensor all =
        new_buffer<T>(count, network_.plan.buffers[index(network_.prefix.buffer)]);
    at::parallel_for(0, (count - 1) / some + 1, 1, [&](int64_t begin, int64_t end) {
      const NoAutograd no_autograd;
      for (int64_t first = begin * some; first < std::min(count, end * some); first += some) {
        const int64_t batch = std::min(some, count - first);
        FusedPass<T> pass(network_, batch, some);
        pass.take_images(images.narrow(0, first, batch));
        pass.take_buffer(network_.prefix.buffer, all.narrow(0, first, batch));
        pass.run(0, network_.prefix.steps);
      }
    });
    return all;
  }

  PreparedStep<T> prepare(const Network& network, const FusedStep& step) const {
    PreparedStep<T> prepared{.step = step};
    if (const auto* conv = std::get_if<Conv2d>(&network_.op(step.node))) {
      FoldedConvolution& folded = prepared.folded;
      folded = fold(network, step.node, step.norm);
      if (conv->groups == 1) {
        prepared.convolution.emplace(
            kernels::KernelUse::kOutput, network_.algorithm,
            typename PackedConvolution<T>::Layer{
                .conv = *conv, .weight = folded.weight, .scale = folded.scale});
      }
    } else {
      prepared.tensors = node_tensors(network, step.node);
    }
    const auto* linear = std::get_if<Linear>(&network_.op(step.node));
    if (linear != nullptr && !std::is_same_v<T, float>) {
      const at::Tensor weight = prepared.tensors.tensors.at("weight");
      prepared.convolution.emplace(
          kernels::KernelUse::kOutput, ConvolutionAlgorithm::kDirect,
          typename PackedConvolution<T>::Layer{
              .conv = {.out_channels = weight.size(0), .kernel_size = 1},
              .weight = weight.detach().view({weight.size(0), weight.size(1), 1, 1}),
              .scale = {}});
    }
    const bool is_norm = std::holds_alternative<BatchNorm2d>(network_.op(step.node));
    if (is_norm || step.input_norm.has_value()) {
      const Affine norm = running_affine(network, step.input_norm.value_or(step.node));
      prepared.norm = {norm.scale.to(at::kFloat), norm.shift.to(at::kFloat)};
    }
    return prepared;
  }

  // The steps stay what they are; only the sizes of what they write change.
  void take_size_of(const at::Tensor& images) {
    const Shape& own = network_.graph.input_shape();
    if (!any_size_ || images.dim() != 4 || own.size() != 3) return;
    if (images.size(2) == own[1] && images.size(3) == own[2]) return;
    network_.graph = part_of(network_.graph, {.input = {own[0], images.size(2), images.size(3)}});
    network_.plan = fused_plan(network_.graph, {.outputs = network_.plan.results.size()});
    network_.prefix = prefix_of_large_values(network_.graph, network_.plan);
    for (size_t i = 0; i < network_.steps.size(); ++i) {
      network_.steps[i].step = network_.plan.steps[i];
    }
  }

  const bool any_size_;
  PreparedNetwork<T> network_;
};

}  // namespace

bool FusedNetwork::can_run(const Network& network) {
  const Execution& execution = network.execution();
  return network.layout() == Layout::kChannelsLast && execution.fuse &&
         !network.column().has_value() &&
         std::ranges::all_of(network.tensors(), [](const auto& named) {
           const at::Tensor& tensor = named.second;
           return tensor.is_cpu() &&
                  (!tensor.is_floating_point() || tensor.scalar_type() == at::kFloat);
         });
}

FusedNetwork::FusedNetwork(const Network& network, const FusedOptions& options) {
  if (!can_run(network)) {
    throw std::invalid_argument(network.graph().name() +
                                " can't be fused: it takes float32 on the processor, channels "
                                "last, with fusion allowed and all columns");
  }
  if (network.execution().precision == Precision::kBFloat16) {
    steps_ = std::make_unique<TypedSteps<kernels::BFloat16>>(network, options);
  } else {
    steps_ = std::make_unique<TypedSteps<float>>(network, options);
  }
}
FusedNetwork::~FusedNetwork() = default;

at::Tensor FusedNetwork::forward(const at::Tensor& images) {
  return steps_->forward(images).front().contiguous();
}

std::vector<at::Tensor> FusedNetwork::outputs(const at::Tensor& images) {
  std::vector<at::Tensor> values = steps_->forward(images);
  for (at::Tensor& value : values) {
    value = value.contiguous(value.dim() == 4 ? kChannelsLast : at::MemoryFormat::Contiguous);
  }
  return values;
}

std::function<at::Tensor(const at::Tensor&)> predictor(Network& network) {
  if (!network.is_training() && FusedNetwork::can_run(network)) {
    const auto fused = std::make_shared<FusedNetwork>(network);
    return [fused](const at::Tensor& images) { return fused->forward(images); };
  }
  return [&network](const at::Tensor& images) { return network.forward(images); };
}

}  // namespace striate
