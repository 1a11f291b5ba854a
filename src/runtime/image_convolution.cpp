#include "runtime/image_convolution.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "runtime/direct_convolution.h"
#include "runtime/first_derivative.h"
#include "runtime/kernel_types.h"

namespace striate {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
constexpr int64_t kMostChannels = 4;
constexpr int64_t kBandRows = 32;  // of the images

int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// What is added to the images' gradient from one of the outputs, by the kernel's rows and columns.
class ImageGradient {
 public:
  ImageGradient(const Conv2d& conv, const at::Tensor& gradient, const at::Tensor& weight,
                const at::Tensor& result)
      : conv_(conv),
        rows_(gradient.permute({0, 2, 3, 1})),
        window_(weight.numel() / weight.size(0)),
        packed_(direct_pack<float>(kernels::KernelUse::kInputGradient, windows_shape(1),
                                   weight.contiguous(kChannelsLast))),
        result_(result),
        channels_(result.size(1)),
        height_(result.size(2)),
        width_(result.size(3)) {}

  void compute() const {
    const int64_t bands = divide_up(height_, kBandRows);
    at::parallel_for(0, result_.size(0) * bands, 1, [&](int64_t begin, int64_t end) {
      const at::NoGradGuard no_grad;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t top = i % bands * kBandRows;
        compute_band(i / bands, top, std::min(height_, top + kBandRows));
      }
    });
  }

 private:
  // Rows [top, bottom) of an image's gradient.
  void compute_band(int64_t image, int64_t top, int64_t bottom) const {
    float* to = result_.data_ptr<float>() + image * height_ * width_ * channels_;
    std::fill(to + top * width_ * channels_, to + bottom * width_ * channels_, 0.0F);
    const int64_t reach = (conv_.kernel_size.height - 1) * conv_.dilation.height;
    const int64_t stride = conv_.stride.height;
    const int64_t padding = conv_.padding.height;
    const int64_t first = divide_up(std::max<int64_t>(0, top + padding - reach), stride);
    const int64_t last = std::min(rows_.size(1), (bottom - 1 + padding) / stride + 1);
    if (first >= last) return;
    const at::Tensor windows = windows_of(image, first, last);
    const float* from = windows.const_data_ptr<float>();
    for (int64_t y = first; y < last; ++y) {
      for (int64_t k = 0; k < conv_.kernel_size.height; ++k) {
        const int64_t row = y * stride - padding + k * conv_.dilation.height;
        if (row < top || row >= bottom) continue;
        add_row(from + (y - first) * rows_.size(2) * window_, k, to + row * width_ * channels_);
      }
    }
  }

  // Outputs, each a pixel of its own, times the transposed kernels.
  kernels::ConvolutionShape windows_shape(int64_t outputs) const {
    return {.batch = outputs,
            .height = 1,
            .width = 1,
            .in_channels = rows_.size(3),
            .out_channels = window_};
  }

  // What the outputs of rows [first, last) add to the pixels that each of them sees.
  at::Tensor windows_of(int64_t image, int64_t first, int64_t last) const {
    const at::Tensor outputs = rows_[image].slice(0, first, last);
    const kernels::ConvolutionShape shape = windows_shape((last - first) * rows_.size(2));
    at::Tensor windows = at::empty({shape.batch, window_}, at::kFloat);
    direct_convolve<float>(shape, {.input = data<float>(outputs),
                                   .input_stride = shape.in_channels,
                                   .packed = data<float>(packed_),
                                   .epilogue = {},
                                   .output = data<float>(windows),
                                   .output_stride = window_});
    return windows;
  }

  // Row k of all windows of a row of outputs.
  void add_row(const float* windows, int64_t k, float* to) const {
    const int64_t columns = conv_.kernel_size.width;
    const int64_t spread = conv_.dilation.width;
    windows += k * columns * channels_;
    for (int64_t x = 0; x < rows_.size(2); ++x, windows += window_) {
      const int64_t left = x * conv_.stride.width - conv_.padding.width;
      const int64_t first = left >= 0 ? 0 : divide_up(-left, spread);
      const int64_t last = std::min(columns, divide_up(width_ - left, spread));
      if (spread == 1) {
        const int64_t count = (last - first) * channels_;
        add(windows + first * channels_, count, to + (left + first) * channels_);
        continue;
      }
      for (int64_t c = first; c < last; ++c) {
        add(windows + c * channels_, channels_, to + (left + c * spread) * channels_);
      }
    }
  }

  static void add(const float* from, int64_t count, float* to) {
    for (int64_t i = 0; i < count; ++i) to[i] += from[i];
  }

  const Conv2d& conv_;
  at::Tensor rows_;    // the outputs' gradient: (N, out_height, out_width, out_channels)
  int64_t window_;     // kernel height * width * channels
  at::Tensor packed_;  // the kernels, (window, out_channels)
  at::Tensor result_;  // channels last
  int64_t channels_;
  int64_t height_;
  int64_t width_;
};

class ImageConvolution : public torch::autograd::Function<ImageConvolution> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                            const Conv2d& conv) {
    context->save_for_backward({input, weight});
    context->saved_data["bias"] = bias.has_value();
    context->saved_data["sizes"] = std::vector<int64_t>{
        conv.stride.height, conv.stride.width,    conv.padding.height,
        conv.padding.width, conv.dilation.height, conv.dilation.width,
    };
    return at::conv2d(input, weight, bias.value_or(at::Tensor()), both(conv.stride),
                      both(conv.padding), both(conv.dilation));
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
    if (context->needs_input_grad(0)) {
      result[0] = image_gradient(conv, x.sizes(), g, w.detach());
    }
    const bool bias = context->saved_data["bias"].toBool() && context->needs_input_grad(2);
    if (context->needs_input_grad(1) || bias) {
      const auto others = at::convolution_backward(
          g, x, w, at::IntArrayRef({w.size(0)}), both(conv.stride), both(conv.padding),
          both(conv.dilation), false, {0, 0}, 1, {false, context->needs_input_grad(1), bias});
      result[1] = std::get<1>(others);
      result[2] = std::get<2>(others);
    }
    return result;
  }

 private:
  static std::vector<int64_t> both(const Size2& size) { return {size.height, size.width}; }
};

}  // namespace

bool reads_images(const Conv2d& conv, int64_t in_channels) {
  return in_channels <= kMostChannels && conv.groups == 1;
}

bool wants_image_gradient(const Conv2d& conv, const at::Tensor& input) {
  return at::GradMode::is_enabled() && input.requires_grad() && input.is_cpu() &&
         input.scalar_type() == at::kFloat && input.numel() > 0 &&
         input.suggest_memory_format() == kChannelsLast && reads_images(conv, input.size(1));
}

at::Tensor image_gradient(const Conv2d& conv, at::IntArrayRef images, const at::Tensor& gradient,
                          const at::Tensor& weight) {
  at::Tensor result = at::empty(images, gradient.options(), kChannelsLast);
  ImageGradient(conv, gradient, weight, result).compute();
  return result;
}

at::Tensor convolve_images(const Conv2d& conv, const at::Tensor& input, const at::Tensor& weight,
                           const at::Tensor& bias) {
  const std::optional<at::Tensor> given = bias.defined() ? std::optional(bias) : std::nullopt;
  return ImageConvolution::apply(input, weight, given, conv);
}

}  // namespace striate
