#pragma once

#include <cstdint>

#include "kernels/convolution_kernels.h"
#include "kernels/epilogue.h"

namespace striate::kernels {

/// Convolution by 3x3 kernels of stride 1 as Winograd's F(4x4, 3x3): a tile of 6x6 inputs gives 4x4
/// outputs by 36 products instead of 144 (lavin2016, 4). Images are channels last, T is float or
/// BFloat16; transforms and products are float32; kernels
/// (out, 3, 3, in), as a channels-last weight of PyTorch lies in memory. Every function works on a
/// part of the whole, so that the caller decides on threads; the parts' results do not depend on
/// how they are cut.
struct WinogradShape {
  int64_t batch;
  int64_t height;  ///< of the input
  int64_t width;
  int64_t in_channels;
  int64_t out_channels;
  int64_t pad_height;  ///< 0, 1 or 2
  int64_t pad_width;

  int64_t out_height() const { return height + 2 * pad_height - 2; }
  int64_t out_width() const { return width + 2 * pad_width - 2; }
  int64_t tiles_down() const { return (out_height() + 3) / 4; }
  int64_t tiles_across() const { return (out_width() + 3) / 4; }
  int64_t tiles() const { return batch * tiles_down() * tiles_across(); }
};

/// Products of a tile.
inline constexpr int64_t kWinogradPoints = 36;

/// Channels are padded to a multiple of this in all buffers; it depends on the processor.
int64_t winograd_panel();
/// A number of channels, padded.
int64_t winograd_padded(int64_t channels);

/// Transforms kernels (G g G^T) into `packed`, 36 * rows * winograd_padded(columns) floats. Rows
/// are in_channels and columns out_channels for kOutput, swapped for kInputGradient.
/// @param panel_begin, panel_end  of the padded columns, in panels.
void winograd_pack(int64_t in_channels, int64_t out_channels, const ConvolutionKernels& kernels,
                   float* packed, int64_t panel_begin, int64_t panel_end);

/// Floats that `winograd_convolve` needs to work in, for so many tiles.
int64_t winograd_scratch_size(const WinogradShape& shape, int64_t tiles);
template <typename T>
struct WinogradConvolution {
  const T* input;
  int64_t input_stride;  ///< values from one pixel to the next; at least in_channels
  const float* packed;
  Epilogue<T> epilogue;
  T* output;
  int64_t output_stride;
};
/// Output channels in panels [panel_begin, panel_end) of tiles [tile_begin, tile_end). For the
/// gradient of an input, `shape` describes the convolution of the output's gradient: its padding is
/// 2 minus the layer's.
template <typename T>
void winograd_convolve(const WinogradShape& shape, const WinogradConvolution<T>& convolution,
                       int64_t tile_begin, int64_t tile_end, int64_t panel_begin, int64_t panel_end,
                       float* scratch);

/// Tiles [tile_begin, tile_end) of a chunk that starts at tile `chunk_begin` and has `chunk_tiles`.
struct WinogradTiles {
  int64_t chunk_begin;
  int64_t chunk_tiles;
  int64_t tile_begin;
  int64_t tile_end;
};
/// B^T d B of input tiles, into transformed[36][chunk_tiles][winograd_padded(in_channels)].
template <typename T>
void winograd_transform_input(const WinogradShape& shape, const T* input,
                              const WinogradTiles& tiles, float* transformed);
/// A d A^T of tiles of the output's gradient, into
/// transformed[36][chunk_tiles][winograd_padded(out_channels)].
template <typename T>
void winograd_transform_gradient(const WinogradShape& shape, const T* gradient,
                                 const WinogradTiles& tiles, float* transformed);
/// Adds a chunk's products to sums[36][out_channels][winograd_padded(in_channels)], for points
/// [point_begin, point_end).
void winograd_add_products(const WinogradShape& shape, const float* input, const float* gradient,
                           int64_t chunk_tiles, float* sums, int64_t point_begin,
                           int64_t point_end);
/// G^T s G: the gradient of kernels [out_begin, out_end), as the kernels lie.
void winograd_finish_kernels(const WinogradShape& shape, const float* sums, float* gradient,
                             int64_t out_begin, int64_t out_end);

}  // namespace striate::kernels
