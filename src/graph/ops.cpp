#include "striate/graph/ops.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "striate/base/error.h"

namespace striate {

std::string to_string(const Shape& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

int64_t volume(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

std::string_view type_name(const Op& op) {
  return std::visit(overloaded{
                        [](const Input&) { return "Input"; },
                        [](const Conv2d&) { return "Conv2d"; },
                        [](const Linear&) { return "Linear"; },
                        [](const BatchNorm2d&) { return "BatchNorm2d"; },
                        [](const ReLU&) { return "ReLU"; },
                        [](const ScaledTanh&) { return "ScaledTanh"; },
                        [](const ChannelAffine&) { return "ChannelAffine"; },
                        [](const MaxPool2d&) { return "MaxPool2d"; },
                        [](const AvgPool2d&) { return "AvgPool2d"; },
                        [](const AdaptiveAvgPool2d&) { return "AdaptiveAvgPool2d"; },
                        [](const LocalResponseNorm&) { return "LocalResponseNorm"; },
                        [](const Flatten&) { return "Flatten"; },
                        [](const Dropout&) { return "Dropout"; },
                        [](const StochasticDepth&) { return "StochasticDepth"; },
                        [](const FractalJoin&) { return "FractalJoin"; },
                        [](const Add&) { return "Add"; },
                        [](const Concat&) { return "Concat"; },
                        [](const Subsample&) { return "Subsample"; },
                        [](const PadChannels&) { return "PadChannels"; },
                        [](const NegativeSquaredDistance&) { return "NegativeSquaredDistance"; },
                    },
                    op);
}

namespace {

std::string by(const Size2& size) {
  return fmt::format("{}x{}", size.height, size.width);
}

std::string window(const Size2& kernel, const Size2& stride, const Size2& padding) {
  std::string text = by(kernel);
  if (stride != Size2(1)) {
    text += stride.height == stride.width ? fmt::format(", stride {}", stride.height)
                                          : fmt::format(", stride {}", by(stride));
  }
  if (padding != Size2(0)) {
    text += padding.height == padding.width ? fmt::format(", padding {}", padding.height)
                                            : fmt::format(", padding {}", by(padding));
  }
  return text;
}

}  // namespace

std::string describe(const Op& op) {
  return std::visit(
      overloaded{
          [](const Input&) -> std::string { return ""; },
          [](const Conv2d& conv) {
            std::string text = fmt::format("{}, {}", conv.out_channels,
                                           window(conv.kernel_size, conv.stride, conv.padding));
            if (conv.dilation != Size2(1)) text += ", dilation " + by(conv.dilation);
            if (conv.groups != 1) text += fmt::format(", groups {}", conv.groups);
            if (!conv.connections.empty()) text += ", connection table";
            return text;
          },
          [](const Linear& linear) { return fmt::format("{}", linear.out_features); },
          [](const BatchNorm2d&) -> std::string { return ""; },
          [](const ReLU& relu) -> std::string {
            if (relu.gradient == ReluGradient::kGuided) return "guided";
            return relu.gradient == ReluGradient::kDeconvolution ? "deconvolution" : "";
          },
          [](const ScaledTanh& tanh) {
            return fmt::format("{:.4f} tanh({:.4f} x)", tanh.amplitude, tanh.slope);
          },
          [](const ChannelAffine&) -> std::string { return ""; },
          [](const MaxPool2d& pool) {
            return window(pool.kernel_size, pool.stride.value_or(pool.kernel_size), pool.padding);
          },
          [](const AvgPool2d& pool) {
            return window(pool.kernel_size, pool.stride.value_or(pool.kernel_size), pool.padding);
          },
          [](const AdaptiveAvgPool2d& pool) { return "to " + by(pool.output_size); },
          [](const LocalResponseNorm& norm) {
            return fmt::format("{}, alpha {:g}, beta {:g}, k {:g}", norm.size, norm.alpha,
                               norm.beta, norm.k);
          },
          [](const Flatten&) -> std::string { return ""; },
          [](const Dropout& dropout) { return fmt::format("p {}", dropout.p); },
          [](const StochasticDepth& depth) {
            return fmt::format("survival {:.4g}", depth.survival);
          },
          [](const FractalJoin& join) {
            return fmt::format("columns {}, drop {:g}", fmt::join(join.columns, " "), join.drop);
          },
          [](const Add&) -> std::string { return ""; },
          [](const Concat&) -> std::string { return ""; },
          [](const Subsample& subsample) { return "stride " + by(subsample.stride); },
          [](const PadChannels& pad) { return fmt::format("{} + {}", pad.before, pad.after); },
          [](const NegativeSquaredDistance& rbf) { return fmt::format("{}", rbf.out_features); },
      },
      op);
}

namespace {

// What every case of the inference needs to say where an error is.
class Inference {
 public:
  Inference(const std::vector<Shape>& inputs, const std::string& node)
      : inputs_(inputs), node_(node) {}

  Shape operator()(const Input& input) const {
    expect_inputs(0);
    if (input.shape.empty() || std::ranges::any_of(input.shape, [](int64_t n) { return n < 1; })) {
      fail("an input needs axes of at least 1, got " + to_string(input.shape));
    }
    return input.shape;
  }

  Shape operator()(const Conv2d& conv) const {
    const Shape& x = image();
    if (conv.groups < 1 || x[0] % conv.groups != 0 || conv.out_channels % conv.groups != 0) {
      fail(fmt::format("{} groups must divide {} input and {} output channels", conv.groups, x[0],
                       conv.out_channels));
    }
    check_connections(conv, x[0]);
    return {conv.out_channels,
            convolved(x, 1, conv.kernel_size.height, conv.stride.height, conv.padding.height,
                      conv.dilation.height),
            convolved(x, 2, conv.kernel_size.width, conv.stride.width, conv.padding.width,
                      conv.dilation.width)};
  }

  Shape operator()(const Linear& linear) const {
    vector();
    return {linear.out_features};
  }

  Shape operator()(const BatchNorm2d&) const { return image(); }
  Shape operator()(const ReLU&) const { return single(); }
  Shape operator()(const ScaledTanh&) const { return single(); }
  Shape operator()(const ChannelAffine&) const { return image(); }

  Shape operator()(const MaxPool2d& pool) const {
    return pooled(pool.kernel_size, pool.stride.value_or(pool.kernel_size), pool.padding,
                  pool.ceil_mode);
  }

  Shape operator()(const AvgPool2d& pool) const {
    return pooled(pool.kernel_size, pool.stride.value_or(pool.kernel_size), pool.padding,
                  pool.ceil_mode);
  }

  Shape operator()(const AdaptiveAvgPool2d& pool) const {
    return {image()[0], pool.output_size.height, pool.output_size.width};
  }

  Shape operator()(const LocalResponseNorm& norm) const {
    if (norm.size < 1) fail(fmt::format("needs a size of at least 1, got {}", norm.size));
    return image();
  }

  Shape operator()(const Flatten&) const { return {volume(single())}; }
  Shape operator()(const Dropout&) const { return single(); }

  Shape operator()(const StochasticDepth& depth) const {
    if (!(depth.survival > 0 && depth.survival <= 1)) {
      fail(fmt::format("needs a survival in (0, 1], got {}", depth.survival));
    }
    return single();
  }

  Shape operator()(const FractalJoin& join) const {
    if (join.columns.size() != inputs_.size()) {
      fail(fmt::format("names {} columns for {} inputs", join.columns.size(), inputs_.size()));
    }
    return equal_shapes();
  }

  Shape operator()(const Add&) const { return equal_shapes(); }

  Shape operator()(const Concat&) const {
    expect_at_least_two();
    Shape result = inputs_[0];
    result[0] = 0;
    for (const Shape& shape : inputs_) {
      if (shape.size() != result.size() ||
          !std::equal(shape.begin() + 1, shape.end(), result.begin() + 1)) {
        fail(fmt::format("needs shapes that differ in channels only, got {} and {}",
                         to_string(inputs_[0]), to_string(shape)));
      }
      result[0] += shape[0];
    }
    return result;
  }

  Shape operator()(const Subsample& subsample) const {
    const Shape& x = image();
    const Size2& s = subsample.stride;
    return {x[0], (x[1] + s.height - 1) / s.height, (x[2] + s.width - 1) / s.width};
  }

  Shape operator()(const PadChannels& pad) const {
    const Shape& x = image();
    return {x[0] + pad.before + pad.after, x[1], x[2]};
  }

  Shape operator()(const NegativeSquaredDistance& rbf) const {
    vector();
    return {rbf.out_features};
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw ShapeError(fmt::format("[{}] {}", node_, problem));
  }

  void expect_inputs(size_t count) const {
    if (inputs_.size() != count) {
      fail(fmt::format("needs {} input(s), got {}", count, inputs_.size()));
    }
  }

  void expect_at_least_two() const {
    if (inputs_.size() < 2) fail(fmt::format("needs two or more inputs, got {}", inputs_.size()));
  }

  const Shape& equal_shapes() const {
    expect_at_least_two();
    for (const Shape& shape : inputs_) {
      if (shape != inputs_[0]) {
        fail(fmt::format("needs equal shapes, got {} and {}", to_string(inputs_[0]),
                         to_string(shape)));
      }
    }
    return inputs_[0];
  }

  const Shape& single() const {
    expect_inputs(1);
    return inputs_[0];
  }

  const Shape& image() const {
    if (single().size() != 3) fail("needs an input (C, H, W), got " + to_string(inputs_[0]));
    return inputs_[0];
  }

  void vector() const {
    if (single().size() != 1) fail("needs a flat input (F), got " + to_string(inputs_[0]));
  }

  int64_t convolved(const Shape& x, int axis, int64_t kernel, int64_t stride, int64_t padding,
                    int64_t dilation) const {
    const int64_t extent = dilation * (kernel - 1) + 1;
    const int64_t room = x[axis] + 2 * padding - extent;
    if (room < 0) does_not_fit(extent, x, axis, padding);
    return room / stride + 1;
  }

  [[noreturn]] void does_not_fit(int64_t extent, const Shape& x, int axis, int64_t padding) const {
    fail(
        fmt::format("a window of {} does not fit {} {} of {} (with {} of padding on each side): "
                    "the network needs a larger input",
                    extent, axis == 1 ? "height" : "width", x[axis], to_string(x), padding));
  }

  Shape pooled(const Size2& kernel, const Size2& stride, const Size2& padding,
               bool ceil_mode) const {
    const Shape& x = image();
    const auto size = [&](int axis, int64_t k, int64_t s, int64_t p) {
      if (2 * p > k) fail(fmt::format("padding {} is more than half of the kernel {}", p, k));
      const int64_t room = x[axis] + 2 * p - k;
      if (room < 0 && !(ceil_mode && room > -s)) does_not_fit(k, x, axis, p);
      int64_t count = (room + (ceil_mode ? s - 1 : 0)) / s + 1;
      // The last window must start inside the input or the padding before it.
      if (ceil_mode && (count - 1) * s >= x[axis] + p) --count;
      return count;
    };
    return {x[0], size(1, kernel.height, stride.height, padding.height),
            size(2, kernel.width, stride.width, padding.width)};
  }

  void check_connections(const Conv2d& conv, int64_t in_channels) const {
    if (conv.connections.empty()) return;
    if (conv.groups != 1 || static_cast<int64_t>(conv.connections.size()) != conv.out_channels) {
      fail(
          fmt::format("a connection table needs one row for each of {} output channels and one "
                      "group, got {} rows and {} groups",
                      conv.out_channels, conv.connections.size(), conv.groups));
    }
    for (const auto& row : conv.connections) {
      for (const int64_t channel : row) {
        if (channel < 0 || channel >= in_channels) {
          fail(fmt::format("the connection table names input channel {} of {}", channel,
                           in_channels));
        }
      }
    }
  }

  const std::vector<Shape>& inputs_;
  const std::string& node_;
};

}  // namespace

Shape infer_shape(const Op& op, const std::vector<Shape>& inputs, const std::string& node) {
  return std::visit(Inference(inputs, node), op);
}

}  // namespace striate
