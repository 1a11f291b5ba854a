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

/// One axis of images and of the values that the first layers make of them.
struct StemAxis {
  int64_t pixels = 0;
  int64_t values = 0;
  int64_t stride = 1;
  int64_t size = 1;   ///< of a value's field
  int64_t begin = 0;  ///< of the first value's field
  int64_t part = 0;   ///< pixels around any square that are enough for the values that see it
};

/// Where the first layers end.
struct StemEnd {
  std::string node;  ///< "": at the image
  StemAxis rows;
  StemAxis columns;
};

/// Looks at copies of one image of which a square is hidden. What the first layers see far from the
/// square does not change: they are computed around it alone, where that saves work.
class OccludedNetwork {
 public:
  /// @param window  the largest side of a square
  OccludedNetwork(const Network& network, const Target& target, int64_t window);

  /// The first layers' values of the whole image (1, C, H, W).
  at::Tensor stem(const at::Tensor& image) const { return stem_(image); }
  /// The value of the target's node. @param values  of the first layers, (N, …)
  at::Tensor rest(const at::Tensor& values) const { return rest_(values); }
  /// What the first layers make of the image with each of some squares filled with `fill`.
  at::Tensor occluded_stem(const at::Tensor& image, const at::Tensor& stem,
                           const std::vector<Square>& squares, double fill) const;

 private:
  using Predictor = std::function<at::Tensor(const at::Tensor&)>;

  Predictor stem_for(const Network& network, const Shape& shape);

  StemEnd end_;
  std::vector<std::unique_ptr<Network>> networks_;
  Predictor stem_;
  Predictor around_;  // the stem, of a part of the image
  Predictor rest_;
};

}  // namespace striate
