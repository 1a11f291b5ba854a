#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "striate/image/image.h"
#include "striate/runtime/network.h"

namespace striate {

/// Computes the values of one node, for batch after batch, as fast as predictions: what comes after
/// the node is left out.
class NodeValues {
 public:
  /// @throws LookupError  no node has that name (the message lists the nearest).
  NodeValues(const Network& network, const std::string& node);
  ~NodeValues();
  NodeValues(const NodeValues&) = delete;
  NodeValues& operator=(const NodeValues&) = delete;

  /// @param images  (N, C, H, W), normalised.
  /// @return        (N, K, h, w) or (N, F).
  at::Tensor operator()(const at::Tensor& images) const;

 private:
  struct Parts;
  std::unique_ptr<const Parts> parts_;
};

/// Channels of a map (K, h, w), or features (F), by their mean value, largest first; ties by
/// number.
std::vector<int64_t> strongest_channels(const at::Tensor& map, int64_t count);
/// Those channels of a map (K, h, w) as a grid of heat pictures, each scaled by itself.
Image activation_picture(const at::Tensor& map, int64_t count = 64, int64_t enlarge = 0);

/// One image's response.
struct Response {
  int64_t image = 0;  ///< its number in the data set
  float value = 0;
  int64_t y = 0;  ///< where in the map the channel responds most; 0 for features
  int64_t x = 0;
};
/// The images that excite each channel most, while a data set passes by.
class TopResponses {
 public:
  TopResponses(int64_t channels, int64_t count);
  /// @param values  (N, K, h, w) or (N, K) of the images first_image, first_image + 1 …
  void add(const at::Tensor& values, int64_t first_image);
  /// Of one channel, strongest first; ties by number.
  const std::vector<Response>& of(int64_t channel) const {
    return best_.at(static_cast<size_t>(channel));
  }

 private:
  int64_t count_;
  std::vector<std::vector<Response>> best_;
};

}  // namespace striate
