#include "runtime/convolution.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "runtime/first_derivative.h"
#include "runtime/grouped_convolution.h"
#include "runtime/image_convolution.h"
#include "runtime/split_convolution.h"
#include "runtime/winograd.h"

namespace striate {

namespace {

using kernels::KernelUse;
using kernels::WinogradShape;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

bool pays(const WinogradShape& s, const at::Tensor& input) {
  const bool half = input.scalar_type() == at::kBFloat16;
  return winograd_pays(s, WinogradKernels::kPackedEachTime,
                       half ? DirectProducts::kBFloat16 : DirectProducts::kFloat32);
}

// In the type of the images.
at::Tensor convolve_directly(const Conv2d& conv, const at::Tensor& input, const at::Tensor& weight,
                             const at::Tensor& bias) {
  const at::ScalarType type = input.scalar_type();
  return at::conv2d(input, weight.to(type), bias.defined() ? bias.to(type) : bias,
                    {conv.stride.height, conv.stride.width},
                    {conv.padding.height, conv.padding.width},
                    {conv.dilation.height, conv.dilation.width}, conv.groups);
}

WinogradShape shape_of(const at::Tensor& input, const at::Tensor& weight, at::IntArrayRef padding) {
  return {.batch = input.size(0),
          .height = input.size(2),
          .width = input.size(3),
          .in_channels = input.size(1),
          .out_channels = weight.size(0),
          .pad_height = padding[0],
          .pad_width = padding[1]};
}

// The convolution that gives the gradient of the input.
WinogradShape backwards(const WinogradShape& s) {
  return {.batch = s.batch,
          .height = s.out_height(),
          .width = s.out_width(),
          .in_channels = s.out_channels,
          .out_channels = s.in_channels,
          .pad_height = 2 - s.pad_height,
          .pad_width = 2 - s.pad_width};
}

class WinogradConvolution : public torch::autograd::Function<WinogradConvolution> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                            const std::vector<int64_t>& padding, bool always) {
    const at::Tensor x = input.contiguous(kChannelsLast);
    const at::Tensor w = weight.contiguous(kChannelsLast);
    context->save_for_backward({x, w});
    context->saved_data["padding"] = padding;
    context->saved_data["always"] = always;
    context->saved_data["bias"] = bias.has_value();
    const WinogradShape s = shape_of(x, w, padding);
    if (!always && !pays(s, x)) {
      const at::ScalarType type = x.scalar_type();
      const at::Tensor added = bias.has_value() ? bias->to(type) : at::Tensor();
      return at::conv2d(x, w.to(type), added, 1, padding);
    }
    return winograd_output(s, x, winograd_pack(KernelUse::kOutput, w), bias.value_or(at::Tensor()));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    forbid_second_derivative();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& w = saved[1];
    const at::Tensor g = gradients[0].to(x.scalar_type()).contiguous(kChannelsLast);
    const std::vector<int64_t> padding = context->saved_data["padding"].toIntVector();
    const WinogradShape s = shape_of(x, w, padding);
    const bool always = context->saved_data["always"].toBool();

    variable_list result(5);
    const auto direct = [&](bool input, bool weight) {
      return at::convolution_backward(g, x, w.to(x.scalar_type()), std::nullopt, {1, 1}, padding,
                                      {1, 1}, false, {0, 0}, 1, {input, weight, false});
    };
    if (context->needs_input_grad(0)) {
      const WinogradShape back = backwards(s);
      result[0] = always || pays(back, g)
                      ? winograd_output(back, g, winograd_pack(KernelUse::kInputGradient, w), {})
                      : std::get<0>(direct(true, false));
    }
    if (context->needs_input_grad(1)) {
      result[1] = always || pays(s, x) ? winograd_weight_gradient(s, x, g)
                                       : std::get<1>(direct(false, true)).to(w.scalar_type());
    }
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(2))
      result[2] = g.sum({0, 2, 3}, /*keepdim=*/false, w.scalar_type());
    return result;
  }
};

bool can_be_winograd(const Conv2d& conv, const at::Tensor& input, const at::Tensor& weight) {
  return winograd_fits(conv) && input.is_cpu() &&
         (input.scalar_type() == at::kFloat || input.scalar_type() == at::kBFloat16) &&
         weight.scalar_type() == at::kFloat && input.numel() > 0;
}

}  // namespace

at::Tensor convolve(const Conv2d& conv, ConvolutionAlgorithm algorithm, const at::Tensor& input,
                    const at::Tensor& weight, const at::Tensor& bias) {
  const std::vector<int64_t> padding = {conv.padding.height, conv.padding.width};
  const bool always = algorithm == ConvolutionAlgorithm::kWinograd;
  const bool images = algorithm == ConvolutionAlgorithm::kAuto && wants_image_gradient(conv, input);
  if (algorithm == ConvolutionAlgorithm::kAuto && !images && can_be_split(conv, input, weight)) {
    return split_convolution(conv, input, weight, bias);
  }
  if (algorithm != ConvolutionAlgorithm::kDirect && can_be_winograd(conv, input, weight) &&
      (always || pays(shape_of(input, weight, padding), input))) {
    const std::optional<at::Tensor> given = bias.defined() ? std::optional(bias) : std::nullopt;
    return WinogradConvolution::apply(input, weight, given, padding, always);
  }
  if (algorithm != ConvolutionAlgorithm::kDirect && can_be_grouped(conv, input)) {
    return grouped_convolution(conv, input, weight, bias);
  }
  if (images) return convolve_images(conv, input, weight, bias);
  return convolve_directly(conv, input, weight, bias);
}

}  // namespace striate
