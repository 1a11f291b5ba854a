#include "runtime/convolution_pool.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "kernels/convolution_pool.h"
#include "runtime/first_derivative.h"

namespace striate {

namespace {

using kernels::ConvPoolShape;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
constexpr int64_t kGroups = 16;  // partial sums; not the number of threads, which may change

ConvPoolShape shape_of(const Conv2d& conv, const MaxPool2d& pool, at::IntArrayRef input) {
  return {.in_channels = input[0],
          .height = input[1],
          .width = input[2],
          .out_channels = conv.out_channels,
          .kernel = conv.kernel_size.height,
          .padding = conv.padding.height,
          .pool = pool.kernel_size.height,
          .pool_stride = pool.stride.value_or(pool.kernel_size).height};
}

bool is_square(const Size2& size) {
  return size.height == size.width;
}

at::Tensor empty_floats(int64_t count) {
  return at::empty({count}, at::kFloat);
}

// Calls body(first, last, scratch) for parts of the images, in all threads.
template <typename Body>
void for_images(const ConvPoolShape& s, int64_t count, const Body& body) {
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    const at::Tensor scratch = empty_floats(kernels::conv_pool_scratch_size(s));
    body(begin, end, scratch.data_ptr<float>());
  });
}

class ConvolutionPool : public torch::autograd::Function<ConvolutionPool> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                            const ConvPoolShape& s) {
    const at::Tensor x = input.contiguous(kChannelsLast);
    const at::Tensor w = weight.contiguous(kChannelsLast);
    const int64_t images = x.size(0);
    const at::Tensor packed = empty_floats(kernels::conv_pool_packed_size(s));
    kernels::conv_pool_pack(s, w.const_data_ptr<float>(),
                            bias.has_value() ? bias->const_data_ptr<float>() : nullptr,
                            packed.data_ptr<float>());
    const at::Tensor output = at::empty({images, s.out_channels, s.out_height(), s.out_width()},
                                        x.options(), kChannelsLast);
    const at::Tensor winners =
        at::empty(output.sizes(), x.options().dtype(at::kInt), kChannelsLast);
    const int64_t image_size = x.numel() / images;
    const int64_t output_size = output.numel() / images;
    const float* from = x.const_data_ptr<float>();
    for_images(s, images, [&](int64_t begin, int64_t end, float* scratch) {
      for (int64_t i = begin; i < end; ++i) {
        kernels::conv_pool_forward(s, from + i * image_size, packed.const_data_ptr<float>(),
                                   output.data_ptr<float>() + i * output_size,
                                   winners.data_ptr<int32_t>() + i * output_size, scratch);
      }
    });
    context->save_for_backward({x, packed, winners});
    context->saved_data["bias"] = bias.has_value();
    context->saved_data["shape"] =
        std::vector<int64_t>{s.in_channels, s.height,  s.width, s.out_channels,
                             s.kernel,      s.padding, s.pool,  s.pool_stride};
    return output;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    forbid_second_derivative();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor g = gradients[0].contiguous(kChannelsLast);
    const std::vector<int64_t> v = context->saved_data["shape"].toIntVector();
    const ConvPoolShape s{v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]};
    const int64_t images = x.size(0);
    const int64_t groups = std::min(kGroups, images);
    const int64_t sums_size = kernels::conv_pool_sums_size(s) + s.out_channels;
    const at::Tensor sums = at::zeros({groups, sums_size}, at::kFloat);
    at::Tensor input_gradient;
    if (context->needs_input_grad(0)) {
      input_gradient = at::empty(x.sizes(), x.options(), kChannelsLast);
    }
    for_images(s, groups, [&](int64_t begin, int64_t end, float* scratch) {
      for (int64_t group = begin; group < end; ++group) {
        float* own = sums.data_ptr<float>() + group * sums_size;
        for (int64_t i = images * group / groups; i < images * (group + 1) / groups; ++i) {
          add_image(s, i, {x, g, saved[1], saved[2], input_gradient}, own, scratch);
        }
      }
    });
    const at::Tensor total = sums.sum(0);
    const at::Tensor weight_gradient =
        at::empty({s.out_channels, s.in_channels, s.kernel, s.kernel}, x.options(), kChannelsLast);
    kernels::conv_pool_finish(s, total.const_data_ptr<float>(), weight_gradient.data_ptr<float>());
    at::Tensor bias_gradient;
    if (context->saved_data["bias"].toBool()) {
      bias_gradient = total.slice(0, sums_size - s.out_channels).clone();
    }
    return {input_gradient, weight_gradient, bias_gradient, at::Tensor()};
  }

 private:
  struct Values {
    const at::Tensor& input;
    const at::Tensor& gradient;
    const at::Tensor& packed;
    const at::Tensor& winners;
    const at::Tensor& input_gradient;  // may be undefined
  };

  static void add_image(const ConvPoolShape& s, int64_t image, const Values& of, float* sums,
                        float* scratch) {
    const int64_t in = image * s.height * s.width * s.in_channels;
    const int64_t out = image * s.out_height() * s.out_width() * s.out_channels;
    kernels::conv_pool_gradients(
        s,
        {.image = of.input.const_data_ptr<float>() + in,
         .gradient = of.gradient.const_data_ptr<float>() + out,
         .winners = of.winners.const_data_ptr<int32_t>() + out,
         .packed = of.packed.const_data_ptr<float>(),
         .weight_sums = sums,
         .bias_sums = sums + kernels::conv_pool_sums_size(s),
         .image_gradient =
             of.input_gradient.defined() ? of.input_gradient.data_ptr<float>() + in : nullptr},
        scratch);
  }
};

}  // namespace

bool can_convolve_and_pool(const Conv2d& conv, const MaxPool2d& pool, const Shape& input) {
  const Size2 pool_stride = pool.stride.value_or(pool.kernel_size);
  const bool plain = conv.stride == 1 && conv.dilation == 1 && conv.groups == 1 &&
                     conv.connections.empty() && pool.padding == 0 && !pool.ceil_mode;
  const bool square = is_square(conv.kernel_size) && is_square(conv.padding) &&
                      is_square(pool.kernel_size) && is_square(pool_stride);
  return plain && square && input.size() == 3 &&
         kernels::conv_pool_fits(shape_of(conv, pool, input));
}

at::Tensor convolve_and_pool(const Conv2d& conv, const MaxPool2d& pool, const at::Tensor& input,
                             const at::Tensor& weight, const at::Tensor& bias) {
  const std::optional<at::Tensor> given = bias.defined() ? std::optional(bias) : std::nullopt;
  return ConvolutionPool::apply(input, weight, given, shape_of(conv, pool, input.sizes().slice(1)));
}

}  // namespace striate
