#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "striate/runtime/weights.h"
#include "striate/sequence/recurrent.h"

namespace striate {

/// Where a window lies on an image and how it looks: what five numbers of the decoder say (eqs. 21
/// to 24). In pixels, whose first one's middle is at 1.
struct AttentionWindow {
  at::Tensor center_x;  ///< (N)
  at::Tensor center_y;  ///< (N)
  at::Tensor variance;  ///< (N) of each filter
  at::Tensor stride;    ///< (N) between the filters' middles
  at::Tensor gamma;     ///< (N) intensity
};
/// @param numbers  (N, 5): centre x and y in [-1, 1] across the image, then the logarithms of
///                 variance, stride (1: the window is as large as the image) and intensity.
/// @param size     filters along a side.
AttentionWindow attention_window(const at::Tensor& numbers, int64_t size, int64_t height,
                                 int64_t width);

/// Gaussian filters, each of which sums to 1 over its row. Where a window lies far outside, the
/// pixels nearest to it count. Source: gregor2015, eqs. 19 to 26.
struct FilterBank {
  at::Tensor fx;     ///< (N, size, W)
  at::Tensor fy;     ///< (N, size, H)
  at::Tensor gamma;  ///< (N)
};
/// @param numbers  as for `attention_window`.
FilterBank filter_bank(const at::Tensor& numbers, int64_t size, int64_t height, int64_t width);

/// gamma F_Y x F_X'. Source: gregor2015, eq. 27.
/// @param images  (N, C, H, W); all channels are read through one window.
/// @return        (N, C, size, size)
at::Tensor read_window(const at::Tensor& images, const FilterBank& bank);
/// F_Y' w F_X / gamma. Source: gregor2015, eq. 29.
/// @param patches  (N, C, size, size)
/// @return         (N, C, H, W)
at::Tensor write_window(const at::Tensor& patches, const FilterBank& bank);

/// The sizes of a DRAW network, as a recipe's `task` has them.
struct DrawOptions {
  int64_t channels = 1;
  int64_t height = 0;
  int64_t width = 0;
  int64_t read_size = 0;   ///< of the window's side; 0: all of the image, without attention
  int64_t write_size = 0;  ///< likewise; both are 0 or none is
  int64_t hidden_size = 256;
  int64_t latent_size = 100;
  int64_t steps = 64;

  bool attention() const { return read_size > 0; }
};
/// @throws std::invalid_argument  impossible sizes.
void check_draw_options(const DrawOptions& options);

/// Numbers that a network is made of, by their names in its weight file.
struct DrawWeights {
  CellWeights encoder;     ///< of [read, decoder's h]
  CellWeights decoder;     ///< of z
  at::Tensor latent;       ///< (2 Z, hidden): of mu, then of the logarithm of sigma
  at::Tensor latent_bias;  ///< (2 Z)
  /// (O, hidden): with attention of the window that the next step reads (5), of the window that
  /// this one writes (5) and of the patch (C * size * size); without, of all pixels.
  at::Tensor output;
  at::Tensor output_bias;    ///< (O)
  at::Tensor canvas;         ///< (C * H * W): the first one
  at::Tensor encoder_state;  ///< (hidden): the first h
  at::Tensor decoder_state;  ///< (hidden)
};

/// In nats, of each image: their sum bounds -log p(x).
struct DrawBound {
  at::Tensor reconstruction;  ///< (N) -log p(x | z): eq. 9
  at::Tensor latent;          ///< (N) KL of q(z | x) from the prior: eqs. 10 and 11
};

/// The bound, equation by equation. `Draw::forward` computes the same in fewer passes.
/// @param images, noise  as for `Draw::forward`.
DrawBound draw_by_equations(const at::Tensor& images, const at::Tensor& noise,
                            const DrawWeights& weights, const DrawOptions& options);

/// Pictures that came into being step by step.
struct Drawing {
  at::Tensor canvases;  ///< (T, N, C, H, W): the pixels' means, in [0, 1]
  at::Tensor windows;   ///< (T, N, 4): x, y, width and height of what was written, in pixels from
                        ///< the upper left corner; undefined without attention
};

/// DRAW: a recurrent variational auto-encoder that paints onto a canvas in steps.
/// Source: gregor2015.
class Draw final : public torch::nn::Module {
 public:
  /// Weights start uniform in ±1 / sqrt(hidden_size), the first canvas and states at 0; forget
  /// gates have 1 added, so that they begin open (jozefowicz2015).
  /// @throws std::invalid_argument  as `check_draw_options`.
  Draw(const DrawOptions& options, uint64_t seed);

  /// @param images  (N, C, H, W), pixels in [0, 1]: values, or means, of Bernoulli variables
  /// @param noise   (T, N, Z), standard normal: what z is drawn by. Any T.
  /// @throws ShapeError  they do not fit.
  DrawBound forward(const at::Tensor& images, const at::Tensor& noise);
  /// @param z  (T, N, Z), standard normal.
  Drawing draw(const at::Tensor& z);

  const DrawOptions& options() const { return options_; }
  const DrawWeights& weights() const { return weights_; }
  /// All weights by key.
  const NamedTensors& tensors() const { return tensors_; }

 private:
  DrawOptions options_;
  DrawWeights weights_;
  NamedTensors tensors_;
};

/// The key and shape of each weight, in their order.
std::vector<std::pair<std::string, std::vector<int64_t>>> draw_shapes(const DrawOptions& options);

/// @param mu, log_sigma  (..., Z)
/// @return  (...): KL of the normal distribution N(mu, sigma²) from N(0, 1). Source: gregor2015,
/// eq. 11.
at::Tensor latent_loss(const at::Tensor& mu, const at::Tensor& log_sigma);

}  // namespace striate
