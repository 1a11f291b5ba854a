#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "striate/runtime/network.h"
#include "striate/visualization/pixels.h"
#include "striate/visualization/target.h"

namespace striate {

// Images that a network would like to see. Pixels are (C, H, W) in [0, 1]. The network is
// evaluated, whatever its mode, and is not changed. The same seed gives the same image. Thrown by
// all: LookupError, no node has that name; ShapeError, the unit is not in the node; and
// std::invalid_argument, an option that makes no sense.

/// What shall become large: a class or channel, or one unit of a map.
struct Unit {
  int64_t channel = 0;
  std::string node = {};  ///< empty: the network's first output
  std::optional<Position> position = {};
};

/// Called after each step with the score, for a bar; may be empty. It may throw to stop.
using AscentObserver = std::function<void(int64_t step, int64_t steps, double score)>;

struct Ascent {
  at::Tensor pixels;           ///< (C, H, W)
  std::vector<double> scores;  ///< after each step
};

struct PixelAscentOptions {
  int64_t steps = 200;
  double learning_rate = 0.1;   ///< of a gradient whose root of the mean square is 1
  double l2_decay = 0.02;       ///< share of the image (less its mean colour) that each step takes
  int64_t blur_every = 4;       ///< steps from one blur to the next; 0: never
  double blur_deviation = 1.0;  ///< of the Gaussian, in pixels
  double clip = 0.1;  ///< share of pixels, those that add least to the score, that become zero in
                      ///< the last third of the steps
  uint64_t seed = 0;
  AscentObserver progress = {};
};
/// Gradient ascent on pixels, from noise.
/// Source: simonyan2014, 2 (the score of a class, L2 decay); yosinski2015, 3 (blur, clipping).
Ascent ascend_pixels(const Network& network, const PixelScale& scale, const Unit& unit,
                     const PixelAscentOptions& options = {});

struct FourierAscentOptions {
  int64_t steps = 256;
  double learning_rate = 0.05;  ///< of Adam
  bool transform = true;        ///< each step sees the image moved, scaled and turned at random
  uint64_t seed = 0;
  AscentObserver progress = {};
};
/// Gradient ascent on the image's Fourier coefficients, in colours that are decorrelated as those
/// of photos are, and robust to small transformations.
/// Source: olah2017.
Ascent ascend_fourier(const Network& network, const PixelScale& scale, const Unit& unit,
                      const FourierAscentOptions& options = {});

struct DreamOptions {
  int64_t octaves = 4;
  double octave_scale = 1.4;
  int64_t steps = 10;           ///< in each octave
  double learning_rate = 0.01;  ///< in pixels of [0, 1], of a gradient whose mean size is 1
  int64_t jitter = 16;
  uint64_t seed = 0;
  AscentObserver progress = {};
};
/// A photo in which a node's values become larger, from small to full size.
/// @param pixels  (C, H, W) of any size that the node's receptive field allows.
/// Source: mordvintsev2015.
at::Tensor deep_dream(const Network& network, const PixelScale& scale, const at::Tensor& pixels,
                      const std::string& node, const DreamOptions& options = {});

struct InversionOptions {
  int64_t steps = 300;
  double learning_rate = 0.02;  ///< of Adam, on pixels
  double total_variation =
      1e-3;  ///< weight of differences between neighbours (beta of 2), for each pixel
  double alpha_norm = 1e-4;  ///< weight of the sixth power, which keeps pixels in range
  uint64_t seed = 0;
  AscentObserver progress = {};
};
struct Inversion {
  at::Tensor pixels;
  double error = 0;  ///< |features - wanted|² / |wanted|²
};
/// An image, from noise, with the same values of a node as this one has.
/// @param pixels  (C, H, W) of the network's input size.
/// Source: mahendran2015, eqs. 1 to 5.
Inversion invert(const Network& network, const PixelScale& scale, const at::Tensor& pixels,
                 const std::string& node, const InversionOptions& options = {});

struct FoolingOptions {
  double grey_levels = 4;  ///< budget: the most that a value of 0 to 255 changes
  int64_t steps = 1;       ///< 1: the fast gradient sign method; more: iterated
  bool targeted = false;   ///< towards the given class instead of away from it
};
struct Fooling {
  at::Tensor pixels;       ///< (N, C, H, W) whole grey levels, as a picture's file holds them
  at::Tensor predictions;  ///< (N) int64: the class of the changed image
  at::Tensor confidences;  ///< (N) its probability
};
/// Images changed by so little that nobody sees it, and that are classified otherwise.
/// @param pixels   (N, C, H, W) whole grey levels.
/// @param classes  (N) int64: the right classes, or, targeted, the wanted ones.
/// Source: goodfellow2015, 4 (one step); kurakin2017, 2.2 and 2.3 (iterated).
Fooling fool(const Network& network, const PixelScale& scale, const at::Tensor& pixels,
             const at::Tensor& classes, const FoolingOptions& options = {});

}  // namespace striate
