#pragma once

#include <memory>

#include "striate/runtime/network.h"
#include "striate/visualization/target.h"

namespace striate {

/// A network cut behind the layers that are affine in the images, its first convolution usually. A
/// sum of gradients goes back through them once, however many gradients it is made of.
class AffineStem {
 public:
  AffineStem(const Network& network, const Target& target);

  /// What comes behind the stem, as `derived_network` makes it; `value` is its input.
  Network& rest() { return *rest_; }
  at::Tensor value(const at::Tensor& images) const;
  /// @param of_value  the gradient with respect to `value(images)`
  at::Tensor gradient(const at::Tensor& images, const at::Tensor& of_value) const;

 private:
  std::string end_;                // of the stem
  std::unique_ptr<Network> stem_;  // null: the first layer is not affine
  std::unique_ptr<Network> rest_;
};

}  // namespace striate
