#include "runtime/direct_convolution.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "kernels/split_convolution.h"
#include "runtime/kernel_types.h"

namespace striate {

namespace {

constexpr int64_t kLeastRows = 14;  // of a product, for a thread of its own

using kernels::BFloat16;
using kernels::ConvolutionShape;

int64_t panels(const ConvolutionShape& s) {
  return (s.out_channels - 1) / kernels::direct_panel() + 1;
}

// Calls body(scratch, row_begin, row_end, panel_begin, panel_end): each thread takes some of the
// pixels, or, where there are more kernels than inputs to read, some of the output channels.
template <typename T, typename Body>
void for_parts(const ConvolutionShape& s, int64_t scratch_size, const Body& body) {
  const bool by_channels =
      s.length() * s.out_channels > s.batch * s.height * s.width * s.in_channels &&
      panels(s) >= at::get_num_threads();
  const int64_t count = by_channels ? panels(s) : s.rows();
  at::parallel_for(0, count, by_channels ? 1 : kLeastRows, [&](int64_t begin, int64_t end) {
    const at::Tensor scratch = at::empty({scratch_size}, kScalarType<T>);
    by_channels ? body(data<T>(scratch), 0, s.rows(), begin, end)
                : body(data<T>(scratch), begin, end, 0, panels(s));
  });
}

}  // namespace

ConvolutionShape direct_shape(const Conv2d& conv, const at::Tensor& images) {
  return {.batch = images.size(0),
          .height = images.size(2),
          .width = images.size(3),
          .in_channels = images.size(1),
          .out_channels = conv.out_channels,
          .kernel_height = conv.kernel_size.height,
          .kernel_width = conv.kernel_size.width,
          .stride_height = conv.stride.height,
          .stride_width = conv.stride.width,
          .pad_height = conv.padding.height,
          .pad_width = conv.padding.width,
          .dilation_height = conv.dilation.height,
          .dilation_width = conv.dilation.width};
}

template <typename T>
at::Tensor direct_pack(kernels::KernelUse use, const ConvolutionShape& s, const at::Tensor& weight,
                       const at::Tensor& scale) {
  const kernels::ConvolutionKernels from{weight.const_data_ptr<float>(), data_or_null(scale), use};
  at::Tensor packed = at::empty({kernels::direct_packed_size<T>(s)}, kScalarType<T>);
  at::parallel_for(0, panels(s), 1, [&](int64_t begin, int64_t end) {
    kernels::direct_pack<T>(s, from, data<T>(packed), begin, end);
  });
  return packed;
}

template <typename T>
void direct_convolve(const ConvolutionShape& s, const kernels::DirectConvolution<T>& convolution) {
  for_parts<T>(s, kernels::direct_scratch_size<T>(s), [&](T* scratch, auto... part) {
    kernels::direct_convolve<T>(s, convolution, part..., scratch);
  });
}

template at::Tensor direct_pack<float>(kernels::KernelUse, const ConvolutionShape&,
                                       const at::Tensor&, const at::Tensor&);
template at::Tensor direct_pack<BFloat16>(kernels::KernelUse, const ConvolutionShape&,
                                          const at::Tensor&, const at::Tensor&);
template void direct_convolve(const ConvolutionShape&, const kernels::DirectConvolution<float>&);
template void direct_convolve(const ConvolutionShape&, const kernels::DirectConvolution<BFloat16>&);

// Where tiles are filled with zeros for the most part, they gain nothing.
bool split_pays(const ConvolutionShape& s) {
  return kernels::splits_products() && kernels::split_packed_size(kernels::KernelUse::kOutput, s) <=
                                           6 * kernels::direct_packed_size<float>(s);
}

at::Tensor split_pack(kernels::KernelUse use, const ConvolutionShape& s, const at::Tensor& weight,
                      const at::Tensor& scale) {
  const kernels::ConvolutionKernels from{weight.const_data_ptr<float>(), data_or_null(scale), use};
  at::Tensor packed = at::empty({kernels::split_packed_size(use, s)}, at::kBFloat16);
  at::parallel_for(0, panels(s), 1, [&](int64_t begin, int64_t end) {
    kernels::split_pack(s, from, data<BFloat16>(packed), begin, end);
  });
  return packed;
}

void split_convolve(kernels::KernelUse use, const ConvolutionShape& s,
                    const kernels::DirectConvolution<float>& convolution,
                    const at::Tensor& packed) {
  for_parts<BFloat16>(s, kernels::split_scratch_size(use, s), [&](BFloat16* scratch, auto... part) {
    kernels::split_convolve(use, s, convolution, data<BFloat16>(packed), part..., scratch);
  });
}

}  // namespace striate
