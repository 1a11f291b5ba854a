#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>

#include "striate/runtime/network.h"
#include "striate/visualization/target.h"

namespace striate {

// Which pixels a score depends on. Everywhere `images` are (N, C, H, W), normalised as the network
// was trained; the network is evaluated, whatever its mode, and is not changed. Thrown by all:
// LookupError, no node has the target's name (the message lists the nearest); ShapeError, images
// that are not of the network's input shape, or `channels` that are not N, or not in range; and
// std::invalid_argument, an option that makes no sense.

/// Called with what is done and what there is to do, for a bar; may be empty. It may throw to stop.
using ProgressObserver = std::function<void(int64_t done, int64_t total)>;

/// The gradient of each image's score. (N, C, H, W)
/// Error: within 1e-4 (relative) of the double-precision result.
/// Source: simonyan2014, 3.
at::Tensor saliency(const Network& network, const at::Tensor& images, const Target& target);

/// The same with ReLUs that pass back what is positive, where they were. (N, C, H, W)
/// Source: springenberg2015, 3.4.
at::Tensor guided_backprop(const Network& network, const at::Tensor& images, const Target& target);
/// The same with ReLUs that pass back what is positive. (N, C, H, W)
/// Source: zeiler2014, 2.1.
at::Tensor deconvolution(const Network& network, const at::Tensor& images, const Target& target);

struct SmoothGradOptions {
  int64_t samples = 50;
  double noise = 0.15;  ///< standard deviation, as a share of each image's range of values
  uint64_t seed = 0;
  int64_t batch_size = 16;  ///< of images in a pass: several samples of few images
  ProgressObserver progress = {};
};
/// The mean gradient over noisy copies of the images. (N, C, H, W)
/// Source: smilkov2017.
at::Tensor smooth_grad(const Network& network, const at::Tensor& images, const Target& target,
                       const SmoothGradOptions& options = {});
/// The same with this noise: (samples, N, C, H, W).
at::Tensor smooth_grad(const Network& network, const at::Tensor& images, const Target& target,
                       const at::Tensor& noise);

struct IntegratedGradientsOptions {
  at::Tensor baseline = {};  ///< (C, H, W); undefined: zeros, the mean colour of usual images
  int64_t steps = 50;        ///< points of a Gauss-Legendre rule
  int64_t batch_size = 16;   ///< of images in a pass: several steps of few images
  ProgressObserver progress = {};
};
/// (image - baseline) times the mean gradient on the way between them: it sums to the difference
/// of their scores. (N, C, H, W)
/// Source: sundararajan2017, eq. 1.
at::Tensor integrated_gradients(const Network& network, const at::Tensor& images,
                                const Target& target,
                                const IntegratedGradientsOptions& options = {});

/// Where the network finds evidence for the score. (N, h, w), >= 0, not scaled
/// @param layer  name of a node whose value is a map (K, h, w), on the way to the target.
/// Source: selvaraju2017, eqs. 1 and 2.
at::Tensor grad_cam(const Network& network, const at::Tensor& images, const Target& target,
                    const std::string& layer);
/// Guided backpropagation times Grad-CAM, enlarged bilinearly. (N, C, H, W)
/// Source: selvaraju2017, 3.2.
at::Tensor guided_grad_cam(const Network& network, const at::Tensor& images, const Target& target,
                           const std::string& layer);

struct OcclusionOptions {
  int64_t window = 32;      ///< the side of the square, in pixels
  int64_t stride = 16;      ///< from one square to the next, at most the window; the last ones may
                            ///< stand out
  double value = 0;         ///< what replaces the pixels; 0 is the mean colour of usual images
  int64_t batch_size = 16;  ///< of occluded images
  ProgressObserver progress = {};
};
/// By how much the score falls when a square hides a pixel: the mean over all squares that do.
/// (N, H, W)
/// Source: zeiler2014, 4.2.
at::Tensor occlusion(const Network& network, const at::Tensor& images, const Target& target,
                     const OcclusionOptions& options = {});

/// The last node of a network whose value is a map, before the pooling behind it: what Grad-CAM
/// looks at by default.
/// @throws LookupError  the network has no maps.
std::string default_layer(const Graph& graph);

}  // namespace striate
