#include "runtime/packed_convolution.h"

#include <type_traits>
#include <utility>

#include "runtime/direct_convolution.h"
#include "runtime/kernel_types.h"
#include "runtime/winograd.h"

namespace striate {

namespace {

using kernels::ConvolutionShape;
using kernels::KernelUse;

// That of the output's gradient, of a convolution whose stride is 1.
Size2 gradient_padding(const Conv2d& conv) {
  const auto along = [](int64_t kernel, int64_t dilation, int64_t padding) {
    return dilation * (kernel - 1) - padding;
  };
  return {along(conv.kernel_size.height, conv.dilation.height, conv.padding.height),
          along(conv.kernel_size.width, conv.dilation.width, conv.padding.width)};
}

}  // namespace

bool has_gradient_convolution(const Conv2d& conv) {
  const Size2 padding = gradient_padding(conv);
  return conv.groups == 1 && conv.stride == 1 && padding.height >= 0 && padding.width >= 0;
}

Conv2d gradient_convolution(const Conv2d& conv, int64_t in_channels) {
  Conv2d result = conv;
  result.out_channels = in_channels;
  result.padding = gradient_padding(conv);
  return result;
}

template <typename T>
PackedConvolution<T>::PackedConvolution(KernelUse use, ConvolutionAlgorithm algorithm, Layer layer)
    : use_(use),
      algorithm_(algorithm),
      conv_(use == KernelUse::kOutput ? layer.conv
                                      : gradient_convolution(layer.conv, layer.weight.size(1))),
      weight_(layer.weight.contiguous(at::MemoryFormat::ChannelsLast)),
      scale_(std::move(layer.scale)) {}

template <typename T>
bool PackedConvolution<T>::splits(const ConvolutionShape& s) const {
  return std::is_same_v<T, float> && algorithm_ == ConvolutionAlgorithm::kAuto && split_pays(s);
}

template <typename T>
bool PackedConvolution<T>::takes_winograd(const ConvolutionShape& s) const {
  if (!winograd_fits(conv_)) return false;
  if (algorithm_ != ConvolutionAlgorithm::kAuto) {
    return algorithm_ == ConvolutionAlgorithm::kWinograd;
  }
  // A gradient's products on tiles take half the time of an output's.
  if (splits(s) && use_ == KernelUse::kInputGradient) return false;
  const DirectProducts products = !std::is_same_v<T, float> ? DirectProducts::kBFloat16
                                  : splits(s)               ? DirectProducts::kSplit
                                                            : DirectProducts::kFloat32;
  return winograd_pays(winograd_shape(s), WinogradKernels::kPackedOnce, products);
}

template <typename T>
void PackedConvolution<T>::run(const at::Tensor& images, kernels::DirectConvolution<T> convolution,
                               std::optional<int64_t> algorithm_batch) {
  const ConvolutionShape s = direct_shape(conv_, images);
  ConvolutionShape decides = s;
  decides.batch = algorithm_batch.value_or(s.batch);
  if (convolution.scale == nullptr && takes_winograd(decides)) {
    const at::Tensor& packed = winograd_.get([&] { return winograd_pack(use_, weight_, scale_); });
    return winograd_convolve<T>(winograd_shape(s), {.input = convolution.input,
                                                    .input_stride = convolution.input_stride,
                                                    .packed = data<float>(packed),
                                                    .epilogue = convolution.epilogue,
                                                    .output = convolution.output,
                                                    .output_stride = convolution.output_stride});
  }
  if constexpr (std::is_same_v<T, float>) {
    if (splits(decides)) {
      const at::Tensor& packed = split_.get([&] { return split_pack(use_, s, weight_, scale_); });
      return split_convolve(use_, s, convolution, packed);
    }
  }
  convolution.packed =
      data<T>(direct_.get([&] { return direct_pack<T>(use_, s, weight_, scale_); }));
  direct_convolve<T>(s, convolution);
}

template class PackedConvolution<float>;
template class PackedConvolution<kernels::BFloat16>;

}  // namespace striate
