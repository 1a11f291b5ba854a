#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "striate/runtime/network.h"
#include "striate/visualization/attribution.h"
#include "striate/visualization/target.h"
#include "visualization/score.h"

namespace striate {

/// Gradients that are summed: of each step one for every image.
struct GradientSum {
  int64_t steps;
  /// Writes a step's value of the stem's end for every image.
  std::function<void(int64_t step, const at::Tensor& value)> write_value;
  std::function<double(int64_t step)> weight;
  int64_t batch_size;  ///< of images in a pass, which takes several steps when images are few
  ProgressObserver progress;
};

/// A network cut behind the layers that are affine in the images, its first convolution usually. A
/// sum of gradients goes back through them once, however many gradients it is made of.
class AffineStem {
 public:
  AffineStem(const Network& network, const Target& target);

  at::Tensor value(const at::Tensor& images) const;
  /// The weighted sum of the gradients of the images' scores with respect to `value(images)`.
  at::Tensor gradient_of_value(const at::Tensor& images, const Target& target,
                               const GradientSum& sum);
  /// @param of_value  the gradient with respect to `value(images)`
  at::Tensor gradient(const at::Tensor& images, const at::Tensor& of_value) const;

 private:
  std::string end_;                // of the stem
  std::unique_ptr<Network> stem_;  // null: the first layer is not affine
  std::unique_ptr<ScoreGradient> rest_;
};

}  // namespace striate
