#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "striate/base/overloaded.h"

namespace striate {

/// The shape of one sample: (C, H, W) or (F). The batch axis is never part of it.
using Shape = std::vector<int64_t>;

/// "(256, 14, 14)".
std::string to_string(const Shape& shape);
/// The number of values; 1 for the empty shape.
int64_t volume(const Shape& shape);

/// A height and a width; one number means both, as in torch.nn.
struct Size2 {
  Size2(int64_t both) : height(both), width(both) {}  // NOLINT: implicit, so that `3` is 3x3
  Size2(int64_t height, int64_t width) : height(height), width(width) {}
  bool operator==(const Size2&) const = default;

  int64_t height;
  int64_t width;
};

// The operators. Their fields have torch.nn's names, meanings and defaults; what torch.nn does not
// have is said beside it. Weights are named after the node: `NODE.weight`, `NODE.bias`.

/// The images or features that the network is given.
struct Input {
  Shape shape;
};

struct Conv2d {
  int64_t out_channels;
  Size2 kernel_size;
  Size2 stride = 1;
  Size2 padding = 0;
  Size2 dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  /// For each output channel the input channels that it sees; empty: all of them. The weight keeps
  /// its full shape and what is not connected counts as zero. (lecun1998, Table I)
  std::vector<std::vector<int64_t>> connections = {};
};

struct Linear {
  int64_t out_features;
  bool bias = true;
};

struct BatchNorm2d {
  double eps = 1e-5;
  double momentum = 0.1;
};

/// What a ReLU passes back: its derivative; or, to look inside, only what is positive of that
/// (guided backpropagation, springenberg2015), or all that is positive (the deconvolution rule,
/// zeiler2014).
enum class ReluGradient { kDerivative, kGuided, kDeconvolution };

struct ReLU {
  ReluGradient gradient = ReluGradient::kDerivative;
};

/// amplitude * tanh(slope * x). (lecun1998, eq. 6 and appendix A)
struct ScaledTanh {
  double amplitude = 1.7159;
  double slope = 2.0 / 3.0;
};

/// weight[c] * x + bias[c]: the trainable part of a subsampling layer. (lecun1998, II.B)
struct ChannelAffine {};

struct MaxPool2d {
  Size2 kernel_size;
  std::optional<Size2> stride = {};  ///< absent: the kernel's size
  Size2 padding = 0;
  bool ceil_mode = false;
};

struct AvgPool2d {
  Size2 kernel_size;
  std::optional<Size2> stride = {};
  Size2 padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
  std::optional<int64_t> divisor_override = {};  ///< 1 makes it a sum
};

struct AdaptiveAvgPool2d {
  Size2 output_size;
};

/// x / (k + alpha / size * sum of x² over `size` neighbouring channels)^beta, as torch.nn has it.
/// The paper does not divide by `size`: its alpha of 1e-4 over 5 channels is 5e-4 here.
/// (krizhevsky2012, 3.3)
struct LocalResponseNorm {
  int64_t size = 5;
  double alpha = 1e-4;
  double beta = 0.75;
  double k = 1;
};

/// All axes of a sample into one.
struct Flatten {};

/// Off in evaluation.
struct Dropout {
  double p = 0.5;
};

/// Ends the residual branch of a block. In training the branch is there, unscaled, with probability
/// `survival`, drawn once for a batch, and is not computed otherwise; in evaluation it is
/// multiplied by `survival`. Only an Add may use its value. (huang2016, eqs. 2, 3 and 5)
struct StochasticDepth {
  double survival = 1;
};

/// The mean of values of one shape, each from a column of a fractal. Training draws once for a
/// batch, for all joins together: with probability `global` one column is chosen and is all that
/// is left of the network; else each input is dropped with probability `drop`, and one at least
/// stays. What no kept path reaches is not computed. Evaluation takes the mean of all.
/// (larsson2017, 3.1)
struct FractalJoin {
  std::vector<int64_t> columns;  ///< of each input; 0 is the shallowest
  double drop = 0.15;
  double global = 0.5;
};

/// The sum of two or more values of one shape.
struct Add {};

/// Along the channels.
struct Concat {};

/// Every stride-th row and column, from the first: x[:, :, ::s, ::s].
struct Subsample {
  Size2 stride;
};

/// Zero channels before and after. With Subsample, the parameter-free shortcut "option A" of
/// he2016.
struct PadChannels {
  int64_t before = 0;
  int64_t after = 0;
};

/// -|x - weight[k]|² for each class k: radial basis units, negated so that the largest wins. The
/// weight is fixed (a buffer). (lecun1998, eq. 7)
struct NegativeSquaredDistance {
  int64_t out_features;
};

using Op =
    std::variant<Input, Conv2d, Linear, BatchNorm2d, ReLU, ScaledTanh, ChannelAffine, MaxPool2d,
                 AvgPool2d, AdaptiveAvgPool2d, LocalResponseNorm, Flatten, Dropout, StochasticDepth,
                 FractalJoin, Add, Concat, Subsample, PadChannels, NegativeSquaredDistance>;

/// The operator's type: "Conv2d".
std::string_view type_name(const Op& op);
/// The fields that differ from a reader's expectation: "3x3, 64, stride 2, padding 1".
std::string describe(const Op& op);

/// The shape that an operator makes of its inputs' shapes.
/// @param node  the node's name, for the message.
/// @throws ShapeError  the inputs do not fit, saying what was wanted and what came.
Shape infer_shape(const Op& op, const std::vector<Shape>& inputs, const std::string& node);

}  // namespace striate
