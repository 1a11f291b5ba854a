#include "runtime/convolution.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "runtime/first_derivative.h"
#include "runtime/grouped_convolution.h"
#include "runtime/winograd.h"

namespace striate {

namespace {

using kernels::WinogradShape;
using kernels::WinogradUse;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

// The outputs of a convolution whose kernels are transformed already.
at::Tensor convolve_tiles(const WinogradShape& s, const at::Tensor& input, const at::Tensor& packed,
                          const at::Tensor& bias) {
  at::Tensor output = at::empty({s.batch, s.out_channels, s.out_height(), s.out_width()},
                                input.options(), kChannelsLast);
  winograd_convolve(s,
                    {.input = input.const_data_ptr<float>(),
                     .input_stride = s.in_channels,
                     .packed = packed.const_data_ptr<float>(),
                     .epilogue = {.bias = bias.defined() ? bias.const_data_ptr<float>() : nullptr},
                     .output = output.data_ptr<float>(),
                     .output_stride = s.out_channels});
  return output;
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
    if (!always && !winograd_pays(s, WinogradKernels::kPackedEachTime))
      return at::conv2d(x, w, bias, 1, padding);
    return convolve_tiles(s, x, winograd_pack(WinogradUse::kOutput, w),
                          bias.value_or(at::Tensor()));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    forbid_second_derivative();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& w = saved[1];
    const at::Tensor g = gradients[0].contiguous(kChannelsLast);
    const std::vector<int64_t> padding = context->saved_data["padding"].toIntVector();
    const WinogradShape s = shape_of(x, w, padding);
    const bool always = context->saved_data["always"].toBool();

    variable_list result(5);
    const auto direct = [&](bool input, bool weight) {
      return at::convolution_backward(g, x, w, std::nullopt, {1, 1}, padding, {1, 1}, false, {0, 0},
                                      1, {input, weight, false});
    };
    if (context->needs_input_grad(0)) {
      const WinogradShape back = backwards(s);
      result[0] = always || winograd_pays(back, WinogradKernels::kPackedEachTime)
                      ? convolve_tiles(back, g, winograd_pack(WinogradUse::kInputGradient, w), {})
                      : std::get<0>(direct(true, false));
    }
    if (context->needs_input_grad(1)) {
      result[1] = always || winograd_pays(s, WinogradKernels::kPackedEachTime)
                      ? winograd_weight_gradient(s, x, g)
                      : std::get<1>(direct(false, true));
    }
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(2))
      result[2] = g.sum({0, 2, 3});
    return result;
  }
};

bool can_be_winograd(const Conv2d& conv, const at::Tensor& input) {
  return conv.kernel_size == 3 && conv.stride == 1 && conv.dilation == 1 && conv.groups == 1 &&
         conv.padding.height <= 2 && conv.padding.width <= 2 && input.is_cpu() &&
         input.scalar_type() == at::kFloat && input.numel() > 0;
}

}  // namespace

at::Tensor convolve(const Conv2d& conv, ConvolutionAlgorithm algorithm, const at::Tensor& input,
                    const at::Tensor& weight, const at::Tensor& bias) {
  const std::vector<int64_t> padding = {conv.padding.height, conv.padding.width};
  const bool always = algorithm == ConvolutionAlgorithm::kWinograd;
  if (algorithm != ConvolutionAlgorithm::kDirect && can_be_winograd(conv, input) &&
      (always ||
       winograd_pays(shape_of(input, weight, padding), WinogradKernels::kPackedEachTime))) {
    const std::optional<at::Tensor> given = bias.defined() ? std::optional(bias) : std::nullopt;
    return WinogradConvolution::apply(input, weight, given, padding, always);
  }
  if (algorithm != ConvolutionAlgorithm::kDirect && can_be_grouped(conv, input)) {
    return grouped_convolution(conv, input, weight, bias);
  }
  return at::conv2d(input, weight, bias, {conv.stride.height, conv.stride.width}, padding,
                    {conv.dilation.height, conv.dilation.width}, conv.groups);
}

}  // namespace striate
