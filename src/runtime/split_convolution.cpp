#include "runtime/split_convolution.h"

#include <ATen/Parallel.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <tuple>

#include "kernels/split_kernel_gradient.h"
#include "runtime/direct_convolution.h"
#include "runtime/first_derivative.h"
#include "runtime/kernel_types.h"
#include "runtime/packed_convolution.h"
#include "runtime/winograd.h"

namespace striate {

namespace {

using kernels::BFloat16;
using kernels::ConvolutionShape;
using kernels::KernelUse;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
// Of outputs: kernels are packed in each step. Estimated, not measured.
constexpr int64_t kLeastRows = 128;
// With narrower layers on tiles, too, ResNet-20 trained at 0.7 of its speed.
constexpr int64_t kLeastInChannels = 64;
constexpr int64_t kLeastOutChannels = 32;

std::vector<int64_t> both(const Size2& size) {
  return {size.height, size.width};
}

at::Tensor convolve_split(KernelUse use, const Conv2d& conv, const at::Tensor& input,
                          const at::Tensor& weight, const at::Tensor& bias) {
  const ConvolutionShape s = direct_shape(conv, input);
  const at::Tensor packed = split_pack(use, s, weight);
  at::Tensor output = at::empty({s.batch, s.out_channels, s.out_height(), s.out_width()},
                                input.options(), kChannelsLast);
  split_convolve(use, s,
                 {.input = data<float>(input),
                  .input_stride = s.in_channels,
                  .packed = nullptr,
                  .epilogue = {.bias = data_or_null(bias)},
                  .output = data<float>(output),
                  .output_stride = s.out_channels},
                 packed);
  return output;
}

// Chunk by chunk: all threads pack slices of one, and then add its products to parts of the result.
at::Tensor split_weight_gradient(const ConvolutionShape& s, const at::Tensor& input,
                                 const at::Tensor& gradient) {
  const int64_t chunk = kernels::split_chunk(s);
  const at::Tensor gradients = at::empty({kernels::split_gradients_size(s)}, at::kBFloat16);
  const at::Tensor inputs = at::empty({kernels::split_inputs_size(s)}, at::kBFloat16);
  at::Tensor result = at::empty({s.out_channels, s.in_channels, s.kernel_height, s.kernel_width},
                                input.options(), kChannelsLast)
                          .zero_();
  for (int64_t first = 0; first < s.rows(); first += chunk) {
    const int64_t last = std::min(s.rows(), first + chunk);
    const int64_t slices = (last - first - 1) / kernels::split_slice() + 1;
    at::parallel_for(0, slices, 1, [&](int64_t begin, int64_t end) {
      const at::Tensor scratch = at::empty({kernels::split_gradient_scratch_size()}, at::kFloat);
      const kernels::SplitSlices part = {first, last, begin, end};
      kernels::split_pack_gradients(s, data<float>(gradient), part, data<BFloat16>(gradients));
      kernels::split_pack_inputs(s, data<float>(input), part, data<BFloat16>(inputs),
                                 data<float>(scratch));
    });
    at::parallel_for(0, kernels::split_gradient_parts(s), 1, [&](int64_t begin, int64_t end) {
      kernels::split_add_kernel_gradient(s, data<BFloat16>(gradients), data<BFloat16>(inputs),
                                         last - first, data<float>(result), begin, end);
    });
  }
  return result;
}

class SplitConvolution : public torch::autograd::Function<SplitConvolution> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                            const Conv2d& conv) {
    const at::Tensor x = input.contiguous(kChannelsLast);
    const at::Tensor w = weight.contiguous(kChannelsLast);
    context->save_for_backward({x, w});
    context->saved_data["bias"] = bias.has_value();
    context->saved_data["sizes"] = std::vector<int64_t>{
        conv.stride.height, conv.stride.width,    conv.padding.height,
        conv.padding.width, conv.dilation.height, conv.dilation.width,
    };
    const at::Tensor added = bias.has_value() ? bias->contiguous() : at::Tensor();
    if (takes_winograd(conv, x)) {
      const kernels::WinogradShape s = winograd_shape(direct_shape(conv, x));
      return winograd_output(s, x, winograd_pack(KernelUse::kOutput, w), added);
    }
    return convolve_split(KernelUse::kOutput, conv, x, w, added);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    forbid_second_derivative();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& w = saved[1];
    const at::Tensor g = gradients[0].contiguous(kChannelsLast);
    const std::vector<int64_t> v = context->saved_data["sizes"].toIntVector();
    const Conv2d conv = {.out_channels = w.size(0),
                         .kernel_size = {w.size(2), w.size(3)},
                         .stride = {v[0], v[1]},
                         .padding = {v[2], v[3]},
                         .dilation = {v[4], v[5]}};
    variable_list result(4);
    if (context->needs_input_grad(0)) result[0] = input_gradient(conv, x, w, g);
    if (context->needs_input_grad(1)) result[1] = weight_gradient(conv, x, g);
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(2))
      result[2] = g.sum({0, 2, 3});
    return result;
  }

 private:
  static bool takes_winograd(const Conv2d& conv, const at::Tensor& x) {
    return winograd_fits(conv) &&
           winograd_pays(winograd_shape(direct_shape(conv, x)), WinogradKernels::kPackedEachTime,
                         DirectProducts::kSplit);
  }

  static at::Tensor weight_gradient(const Conv2d& conv, const at::Tensor& x, const at::Tensor& g) {
    const ConvolutionShape s = direct_shape(conv, x);
    return takes_winograd(conv, x) ? winograd_weight_gradient(winograd_shape(s), x, g)
                                   : split_weight_gradient(s, x, g);
  }

  static at::Tensor input_gradient(const Conv2d& conv, const at::Tensor& x, const at::Tensor& w,
                                   const at::Tensor& g) {
    if (has_gradient_convolution(conv)) {
      const Conv2d turned = gradient_convolution(conv, x.size(1));
      if (split_pays(direct_shape(turned, g))) {
        return convolve_split(KernelUse::kInputGradient, turned, g, w, {});
      }
    }
    return std::get<0>(at::convolution_backward(g, x, w, std::nullopt, both(conv.stride),
                                                both(conv.padding), both(conv.dilation), false,
                                                {0, 0}, 1, {true, false, false}));
  }
};

}  // namespace

bool can_be_split(const Conv2d& conv, const at::Tensor& input, const at::Tensor& weight) {
  if (conv.groups != 1 || !input.is_cpu() || input.scalar_type() != at::kFloat ||
      weight.scalar_type() != at::kFloat || input.size(1) != weight.size(1) ||
      input.size(2) + 2 * conv.padding.height < conv.kernel_size.height ||
      input.size(3) + 2 * conv.padding.width < conv.kernel_size.width) {
    return false;
  }
  const ConvolutionShape s = direct_shape(conv, input);
  return s.rows() >= kLeastRows && s.in_channels >= kLeastInChannels &&
         s.out_channels >= kLeastOutChannels && split_pays(s);
}

at::Tensor split_convolution(const Conv2d& conv, const at::Tensor& input, const at::Tensor& weight,
                             const at::Tensor& bias) {
  const std::optional<at::Tensor> given = bias.defined() ? std::optional(bias) : std::nullopt;
  return SplitConvolution::apply(input, weight, given, conv);
}

}  // namespace striate
