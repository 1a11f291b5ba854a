#include "runtime/convolution.h"

#include <ATen/Parallel.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "kernels/winograd.h"
#include "runtime/first_derivative.h"

namespace striate {

namespace {

using kernels::WinogradShape;
using kernels::WinogradUse;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
constexpr int64_t kBlockTiles = 56;   // work of a thread that stays in its cache
constexpr int64_t kChunkTiles = 512;  // of a weight's gradient

at::Tensor empty_floats(int64_t count) {
  return at::empty({count}, at::kFloat);
}

// Multiply-adds that the passes over a tile's values, and over transformed kernels, weigh as much
// as: measured on a 512-bit machine.
constexpr double kTransformCost = 15;
constexpr double kPackCost = 30;

bool pays(const WinogradShape& s) {
  const auto in = static_cast<double>(s.in_channels);
  const auto out = static_cast<double>(s.out_channels);
  const auto tiles = static_cast<double>(s.tiles());
  const double direct =
      9.0 * static_cast<double>(s.batch * s.out_height() * s.out_width()) * in * out;
  const double winograd = kernels::kWinogradPoints *
                          (tiles * static_cast<double>(kernels::winograd_padded(s.in_channels)) *
                               static_cast<double>(kernels::winograd_padded(s.out_channels)) +
                           kTransformCost * tiles * (in + out) + kPackCost * in * out);
  return winograd < direct;
}

at::Tensor pack(WinogradUse use, const at::Tensor& weight) {
  const int64_t out = weight.size(0);
  const int64_t in = weight.size(1);
  const int64_t rows = use == WinogradUse::kOutput ? in : out;
  const int64_t columns = kernels::winograd_padded(use == WinogradUse::kOutput ? out : in);
  const at::Tensor packed = empty_floats(kernels::kWinogradPoints * rows * columns);
  const float* from = weight.const_data_ptr<float>();
  float* to = packed.data_ptr<float>();
  at::parallel_for(0, columns / kernels::winograd_panel(), 1, [&](int64_t begin, int64_t end) {
    kernels::winograd_pack(use, in, out, from, to, begin, end);
  });
  return packed;
}

// The outputs of a convolution whose kernels are transformed already.
at::Tensor convolve_tiles(const WinogradShape& s, const at::Tensor& input, const at::Tensor& packed,
                          const at::Tensor& bias) {
  at::Tensor output = at::empty({s.batch, s.out_channels, s.out_height(), s.out_width()},
                                input.options(), kChannelsLast);
  const int64_t tiles = s.tiles();
  const int64_t threads = at::get_num_threads();
  const int64_t block = std::min(kBlockTiles, (tiles + threads - 1) / threads);
  const float* x = input.const_data_ptr<float>();
  const float* kernels = packed.const_data_ptr<float>();
  float* y = output.data_ptr<float>();
  const float* added = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  at::parallel_for(0, (tiles + block - 1) / block, 1, [&](int64_t begin, int64_t end) {
    const at::Tensor scratch = empty_floats(kernels::winograd_scratch_size(s, block));
    for (int64_t i = begin; i < end; ++i) {
      kernels::winograd_convolve(s, x, kernels, added, y, i * block,
                                 std::min(tiles, (i + 1) * block), scratch.data_ptr<float>());
    }
  });
  return output;
}

at::Tensor weight_gradient(const WinogradShape& s, const at::Tensor& input,
                           const at::Tensor& gradient) {
  const int64_t in = kernels::winograd_padded(s.in_channels);
  const int64_t out = kernels::winograd_padded(s.out_channels);
  const int64_t tiles = s.tiles();
  const int64_t chunk = std::min(tiles, kChunkTiles);
  const at::Tensor sums = at::zeros({kernels::kWinogradPoints * s.out_channels * in}, at::kFloat);
  const at::Tensor inputs = empty_floats(kernels::kWinogradPoints * chunk * in);
  const at::Tensor gradients = empty_floats(kernels::kWinogradPoints * chunk * out);
  const float* x = input.const_data_ptr<float>();
  const float* g = gradient.const_data_ptr<float>();
  float* to_x = inputs.data_ptr<float>();
  float* to_g = gradients.data_ptr<float>();
  float* to_sums = sums.data_ptr<float>();
  for (int64_t first = 0; first < tiles; first += chunk) {
    const int64_t count = std::min(chunk, tiles - first);
    at::parallel_for(0, count, 8, [&](int64_t begin, int64_t end) {
      const kernels::WinogradTiles part{first, count, first + begin, first + end};
      kernels::winograd_transform_input(s, x, part, to_x);
      kernels::winograd_transform_gradient(s, g, part, to_g);
    });
    at::parallel_for(0, kernels::kWinogradPoints, 1, [&](int64_t begin, int64_t end) {
      kernels::winograd_add_products(s, to_x, to_g, count, to_sums, begin, end);
    });
  }
  at::Tensor result =
      at::empty({s.out_channels, s.in_channels, 3, 3}, input.options(), kChannelsLast);
  float* to = result.data_ptr<float>();
  at::parallel_for(0, s.out_channels, 1, [&](int64_t begin, int64_t end) {
    kernels::winograd_finish_kernels(s, to_sums, to, begin, end);
  });
  return result;
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
    if (!always && !pays(s)) return at::conv2d(x, w, bias, 1, padding);
    return convolve_tiles(s, x, pack(WinogradUse::kOutput, w), bias.value_or(at::Tensor()));
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
      result[0] = always || pays(back)
                      ? convolve_tiles(back, g, pack(WinogradUse::kInputGradient, w), {})
                      : std::get<0>(direct(true, false));
    }
    if (context->needs_input_grad(1)) {
      result[1] = always || pays(s) ? weight_gradient(s, x, g) : std::get<1>(direct(false, true));
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
      (always || pays(shape_of(input, weight, padding)))) {
    const std::optional<at::Tensor> given = bias.defined() ? std::optional(bias) : std::nullopt;
    return WinogradConvolution::apply(input, weight, given, padding, always);
  }
  return at::conv2d(input, weight, bias, {conv.stride.height, conv.stride.width}, padding,
                    {conv.dilation.height, conv.dilation.width}, conv.groups);
}

}  // namespace striate
