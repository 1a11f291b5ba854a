#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "striate/runtime/network.h"
#include "striate/visualization/target.h"

namespace striate {

/// Rows and columns of an image or a map, up to `bottom` and `right`.
struct Square {
  int64_t top;
  int64_t left;
  int64_t bottom;
  int64_t right;

  at::Tensor of(const at::Tensor& map) const {  // (…, H, W)
    return map.slice(-2, top, bottom).slice(-1, left, right);
  }
};

/// Looks at copies of one image of which a square is hidden. What the first layers see far from the
/// square does not change: they are computed around it alone, where that saves work.
class OccludedNetwork {
 public:
  /// @param shape   of an image, (C, H, W)
  /// @param window  the largest side of a square
  OccludedNetwork(const Network& network, const Target& target, const Shape& shape, int64_t window);
  ~OccludedNetwork();
  OccludedNetwork(const OccludedNetwork&) = delete;
  OccludedNetwork& operator=(const OccludedNetwork&) = delete;

  /// The first layers' values of the whole image (1, C, H, W).
  at::Tensor stem(const at::Tensor& image) const { return stem_(image); }
  /// The value of the target's node. @param values  of the first layers, (N, …)
  at::Tensor rest(const at::Tensor& values) const { return rest_(values); }
  /// What the first layers make of the image with each of some squares filled with `fill`.
  at::Tensor occluded_stem(const at::Tensor& image, const at::Tensor& stem,
                           const std::vector<Square>& squares, double fill) const;

 private:
  using Predictor = std::function<at::Tensor(const at::Tensor&)>;
  struct Cut;  // where the first layers end

  Predictor predictor_of(const Network& network, const Cut& cut, const Shape& shape);

  std::unique_ptr<Cut> cut_;
  std::vector<std::unique_ptr<Network>> networks_;
  Predictor stem_;
  Predictor around_;  // the stem, of a part of the image
  Predictor rest_;
};

}  // namespace striate
