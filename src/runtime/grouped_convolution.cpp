#include "runtime/grouped_convolution.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "kernels/grouped_convolution.h"
#include "runtime/first_derivative.h"

namespace striate {

namespace {

using kernels::GroupedShape;
using kernels::GroupedUse;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
// Parts that a weight's gradient is cut into, so that each of some threads has work.
constexpr int64_t kParts = 32;

at::Tensor empty_floats(int64_t count) {
  return at::empty({count}, at::kFloat);
}

at::Tensor scratch(const GroupedShape& s) {
  return empty_floats(kernels::grouped_scratch_size(s));
}

GroupedShape shape_of(const at::Tensor& input, const at::Tensor& weight, int64_t stride,
                      at::IntArrayRef padding) {
  return {.batch = input.size(0),
          .height = input.size(2),
          .width = input.size(3),
          .channels = input.size(1),
          .group_channels = weight.size(1),
          .stride = stride,
          .pad_height = padding[0],
          .pad_width = padding[1]};
}

at::Tensor pack(GroupedUse use, const GroupedShape& s, const at::Tensor& weight) {
  const at::Tensor packed = empty_floats(kernels::grouped_packed_size(s));
  const float* from = weight.const_data_ptr<float>();
  float* to = packed.data_ptr<float>();
  at::parallel_for(0, kernels::grouped_units(s), 1, [&](int64_t begin, int64_t end) {
    kernels::grouped_pack(use, s, from, to, begin, end);
  });
  return packed;
}

at::Tensor output_of(const GroupedShape& s, const at::Tensor& input, const at::Tensor& packed,
                     const at::Tensor& bias, bool relu) {
  at::Tensor output = at::empty({s.batch, s.channels, s.out_height(), s.out_width()},
                                input.options(), kChannelsLast);
  const float* x = input.const_data_ptr<float>();
  const float* kernels = packed.const_data_ptr<float>();
  const kernels::GroupedEpilogue epilogue{
      .bias = bias.defined() ? bias.const_data_ptr<float>() : nullptr, .relu = relu};
  float* y = output.data_ptr<float>();
  at::parallel_for(0, s.out_rows(), 1, [&](int64_t begin, int64_t end) {
    kernels::grouped_convolve(s, x, kernels, epilogue, y, begin, end, scratch(s).data_ptr<float>());
  });
  return output;
}

at::Tensor input_gradient(const GroupedShape& s, const at::Tensor& gradient,
                          const at::Tensor& packed) {
  at::Tensor result =
      at::empty({s.batch, s.channels, s.height, s.width}, gradient.options(), kChannelsLast);
  const float* g = gradient.const_data_ptr<float>();
  const float* kernels = packed.const_data_ptr<float>();
  float* to = result.data_ptr<float>();
  at::parallel_for(0, s.batch * s.height, 1, [&](int64_t begin, int64_t end) {
    kernels::grouped_input_gradient(s, g, kernels, to, begin, end, scratch(s).data_ptr<float>());
  });
  return result;
}

// Calls body(chunk, begin, end) for each chunk of `units` that the parts [begin, end) belong to.
template <typename Body>
void for_chunks(int64_t begin, int64_t end, int64_t units, const Body& body) {
  while (begin < end) {
    const int64_t chunk = begin / units;
    const int64_t next = std::min(end, (chunk + 1) * units);
    body(chunk, begin - chunk * units, next - chunk * units);
    begin = next;
  }
}

// Rows are cut into chunks, whose number depends on the shape alone, and channels into units.
at::Tensor weight_gradient(const GroupedShape& s, const at::Tensor& input,
                           const at::Tensor& gradient) {
  const int64_t units = kernels::grouped_units(s);
  const int64_t size = kernels::grouped_packed_size(s);
  const int64_t chunks = std::clamp<int64_t>(kParts / units, 1, s.batch);
  const int64_t rows = (s.out_rows() + chunks - 1) / chunks;
  const at::Tensor sums = at::zeros({chunks * size}, at::kDouble);
  const float* x = input.const_data_ptr<float>();
  const float* g = gradient.const_data_ptr<float>();
  double* to_sums = sums.data_ptr<double>();
  at::parallel_for(0, chunks * units, 1, [&](int64_t first, int64_t last) {
    const at::Tensor memory = empty_floats(kernels::grouped_kernel_gradient_scratch_size(s));
    for_chunks(first, last, units, [&](int64_t chunk, int64_t begin, int64_t end) {
      const kernels::GroupedPart part{.row_begin = chunk * rows,
                                      .row_end = std::min(s.out_rows(), (chunk + 1) * rows),
                                      .unit_begin = begin,
                                      .unit_end = end};
      kernels::grouped_add_kernel_gradient(s, x, g, part, to_sums + chunk * size,
                                           memory.data_ptr<float>());
    });
  });
  at::Tensor result =
      at::empty({s.channels, s.group_channels, 3, 3}, input.options(), kChannelsLast);
  float* to = result.data_ptr<float>();
  at::parallel_for(0, units, 1, [&](int64_t begin, int64_t end) {
    kernels::grouped_finish_kernel_gradient(s, to_sums, chunks, to, begin, end);
  });
  return result;
}

class GroupedConvolution : public torch::autograd::Function<GroupedConvolution> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                            int64_t stride, const std::vector<int64_t>& padding) {
    const at::Tensor x = input.contiguous(kChannelsLast);
    const at::Tensor w = weight.contiguous(kChannelsLast);
    context->save_for_backward({x, w});
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    context->saved_data["bias"] = bias.has_value();
    const GroupedShape s = shape_of(x, w, stride, padding);
    const at::Tensor added = bias.has_value() ? bias->contiguous() : at::Tensor();
    return output_of(s, x, pack(GroupedUse::kOutput, s, w), added, /*relu=*/false);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    forbid_second_derivative();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& w = saved[1];
    const at::Tensor g = gradients[0].contiguous(kChannelsLast);
    const GroupedShape s = shape_of(x, w, context->saved_data["stride"].toInt(),
                                    context->saved_data["padding"].toIntVector());
    variable_list result(5);
    if (context->needs_input_grad(0)) {
      result[0] = input_gradient(s, g, pack(GroupedUse::kInputGradient, s, w));
    }
    if (context->needs_input_grad(1)) result[1] = weight_gradient(s, x, g);
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(2))
      result[2] = g.sum({0, 2, 3});
    return result;
  }
};

std::vector<int64_t> padding_of(const Conv2d& conv) {
  return {conv.padding.height, conv.padding.width};
}

}  // namespace

bool can_be_grouped(const Conv2d& conv, const at::Tensor& input) {
  const int64_t in = input.size(1) / conv.groups;
  const int64_t stride = conv.stride.height;
  return conv.groups > 1 && conv.out_channels == input.size(1) &&
         (in == 4 || in == 8 || in == 16 || in == 32) && conv.kernel_size == 3 &&
         (stride == 1 || stride == 2) && conv.stride == stride && conv.dilation == 1 &&
         conv.padding.height <= 1 && conv.padding.width <= 1 &&
         input.size(2) + 2 * conv.padding.height >= 3 &&
         input.size(3) + 2 * conv.padding.width >= 3 && input.is_cpu() &&
         input.scalar_type() == at::kFloat && input.numel() > 0;
}

at::Tensor grouped_convolution(const Conv2d& conv, const at::Tensor& input,
                               const at::Tensor& weight, const at::Tensor& bias) {
  const std::optional<at::Tensor> given = bias.defined() ? std::optional(bias) : std::nullopt;
  return GroupedConvolution::apply(input, weight, given, conv.stride.height, padding_of(conv));
}

at::Tensor pack_grouped(const Conv2d& conv, const at::Tensor& weight) {
  const GroupedShape s{
      .channels = weight.size(0), .group_channels = weight.size(1), .stride = conv.stride.height};
  return pack(GroupedUse::kOutput, s, weight.contiguous(kChannelsLast));
}

at::Tensor grouped_convolve(const Conv2d& conv, const at::Tensor& input,
                            const GroupedInference& inference) {
  const at::Tensor x = input.contiguous(kChannelsLast);
  const GroupedShape s{.batch = x.size(0),
                       .height = x.size(2),
                       .width = x.size(3),
                       .channels = x.size(1),
                       .group_channels = x.size(1) / conv.groups,
                       .stride = conv.stride.height,
                       .pad_height = conv.padding.height,
                       .pad_width = conv.padding.width};
  return output_of(s, x, inference.packed, inference.bias, inference.relu);
}

}  // namespace striate
