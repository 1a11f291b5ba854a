#include "runtime/winograd.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "kernels/tiles.h"
#include "runtime/kernel_types.h"

namespace striate {

namespace {

using kernels::KernelUse;
using kernels::WinogradShape;

constexpr int64_t kBlockTiles = 56;   // work of a thread that stays in its cache
constexpr int64_t kChunkTiles = 512;  // of a weight's gradient

at::Tensor empty_floats(int64_t count) {
  return at::empty({count}, at::kFloat);
}

// Multiply-adds that weigh as much as the passes over a tile's values, as the transformation of a
// kernel's value, and as reading a value of kernels that are packed already: measured on a 512-bit
// machine.
constexpr double kTransformCost = 15;
constexpr double kPackCost = 30;
constexpr double kReadCost = 15;

int64_t panels(int64_t channels) {
  return kernels::winograd_padded(channels) / kernels::winograd_panel();
}

}  // namespace

bool winograd_fits(const Conv2d& conv) {
  return conv.kernel_size == 3 && conv.stride == 1 && conv.dilation == 1 && conv.groups == 1 &&
         conv.padding.height <= 2 && conv.padding.width <= 2;
}

WinogradShape winograd_shape(const kernels::ConvolutionShape& s) {
  return {.batch = s.batch,
          .height = s.height,
          .width = s.width,
          .in_channels = s.in_channels,
          .out_channels = s.out_channels,
          .pad_height = s.pad_height,
          .pad_width = s.pad_width};
}

bool winograd_pays(const WinogradShape& s, WinogradKernels kernels, DirectProducts products) {
  // Its products are float32, which matrix tiles outdo more than four times over.
  if (products == DirectProducts::kBFloat16 && kernels::multiplies_by_tiles()) return false;
  const auto in = static_cast<double>(s.in_channels);
  const auto out = static_cast<double>(s.out_channels);
  const auto tiles = static_cast<double>(s.tiles());
  // bfloat16 products take half the time, and so do those on tiles.
  const double product = products == DirectProducts::kFloat32 ? 9 : 4.5;
  double direct =
      product * static_cast<double>(s.batch * s.out_height() * s.out_width()) * in * out;
  double winograd = kernels::kWinogradPoints *
                    (tiles * static_cast<double>(kernels::winograd_padded(s.in_channels)) *
                         static_cast<double>(kernels::winograd_padded(s.out_channels)) +
                     kTransformCost * tiles * (in + out));
  const bool packed = kernels == WinogradKernels::kPackedOnce;
  winograd += (packed ? kReadCost : kPackCost) * kernels::kWinogradPoints * in * out;
  if (packed) direct += kReadCost * 9 * in * out;
  return winograd < direct;
}

at::Tensor winograd_pack(KernelUse use, const at::Tensor& weight, const at::Tensor& scale) {
  const int64_t out = weight.size(0);
  const int64_t in = weight.size(1);
  const int64_t rows = use == KernelUse::kOutput ? in : out;
  const int64_t columns = use == KernelUse::kOutput ? out : in;
  const at::Tensor packed =
      empty_floats(kernels::kWinogradPoints * rows * kernels::winograd_padded(columns));
  const kernels::ConvolutionKernels from{weight.const_data_ptr<float>(), data_or_null(scale), use};
  float* to = packed.data_ptr<float>();
  at::parallel_for(0, panels(columns), 1, [&](int64_t begin, int64_t end) {
    kernels::winograd_pack(in, out, from, to, begin, end);
  });
  return packed;
}

template <typename T>
void winograd_convolve(const WinogradShape& s, const kernels::WinogradConvolution<T>& convolution) {
  const int64_t tiles = s.tiles();
  const int64_t threads = at::get_num_threads();
  // Few tiles: each thread takes them all, for some of the output channels, so that it reads only
  // some of the kernels.
  const bool by_channels = tiles < kBlockTiles && panels(s.out_channels) >= threads;
  const int64_t rounds = ((tiles - 1) / kBlockTiles + threads) / threads;
  const int64_t block = by_channels ? tiles : (tiles - 1) / (rounds * threads) + 1;
  const int64_t count = by_channels ? panels(s.out_channels) : (tiles - 1) / block + 1;
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    const at::Tensor scratch = empty_floats(kernels::winograd_scratch_size(s, block));
    if (by_channels) {
      return kernels::winograd_convolve(s, convolution, 0, tiles, begin, end,
                                        scratch.data_ptr<float>());
    }
    for (int64_t i = begin; i < end; ++i) {
      kernels::winograd_convolve(s, convolution, i * block, std::min(tiles, (i + 1) * block), 0,
                                 panels(s.out_channels), scratch.data_ptr<float>());
    }
  });
}

template void winograd_convolve(const WinogradShape&, const kernels::WinogradConvolution<float>&);
template void winograd_convolve(const WinogradShape&,
                                const kernels::WinogradConvolution<kernels::BFloat16>&);

namespace {

template <typename T>
void convolve_into(const WinogradShape& s, const at::Tensor& input, const at::Tensor& packed,
                   const at::Tensor& bias, const at::Tensor& output) {
  winograd_convolve<T>(s, {.input = data<T>(input),
                           .input_stride = s.in_channels,
                           .packed = data<float>(packed),
                           .epilogue = {.bias = data_or_null(bias)},
                           .output = data<T>(output),
                           .output_stride = s.out_channels});
}

template <typename T>
at::Tensor weight_gradient(const WinogradShape& s, const at::Tensor& input,
                           const at::Tensor& gradient) {
  const int64_t in = kernels::winograd_padded(s.in_channels);
  const int64_t out = kernels::winograd_padded(s.out_channels);
  const int64_t tiles = s.tiles();
  const int64_t chunk = std::min(tiles, kChunkTiles);
  const at::Tensor sums = at::zeros({kernels::kWinogradPoints * s.out_channels * in}, at::kFloat);
  const at::Tensor inputs = empty_floats(kernels::kWinogradPoints * chunk * in);
  const at::Tensor gradients = empty_floats(kernels::kWinogradPoints * chunk * out);
  const T* x = static_cast<const T*>(input.const_data_ptr());
  const T* g = static_cast<const T*>(gradient.const_data_ptr());
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
  at::Tensor result = at::empty({s.out_channels, s.in_channels, 3, 3},
                                input.options().dtype(at::kFloat), at::MemoryFormat::ChannelsLast);
  float* to = result.data_ptr<float>();
  at::parallel_for(0, s.out_channels, 1, [&](int64_t begin, int64_t end) {
    kernels::winograd_finish_kernels(s, to_sums, to, begin, end);
  });
  return result;
}

}  // namespace

at::Tensor winograd_output(const WinogradShape& s, const at::Tensor& input,
                           const at::Tensor& packed, const at::Tensor& bias) {
  at::Tensor output = at::empty({s.batch, s.out_channels, s.out_height(), s.out_width()},
                                input.options(), at::MemoryFormat::ChannelsLast);
  input.scalar_type() == at::kBFloat16
      ? convolve_into<kernels::BFloat16>(s, input, packed, bias, output)
      : convolve_into<float>(s, input, packed, bias, output);
  return output;
}

at::Tensor winograd_weight_gradient(const WinogradShape& s, const at::Tensor& input,
                                    const at::Tensor& gradient) {
  return input.scalar_type() == at::kBFloat16
             ? weight_gradient<kernels::BFloat16>(s, input, gradient)
             : weight_gradient<float>(s, input, gradient);
}

}  // namespace striate
