#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "striate/base/json.h"
#include "striate/data/transforms.h"
#include "striate/graph/graph.h"
#include "striate/runtime/network.h"

namespace striate {

/// The network that looks at the images that are to be captioned, as a recipe's `task.encoder` has
/// it. `striate train` fills in all but the weights where they are missing.
struct CaptionEncoderOptions {
  std::string weights;       ///< the file
  std::string model;         ///< of the registry
  std::string node;          ///< whose value is looked at
  Shape input;               ///< (C, H, W)
  int64_t classes = 0;       ///< of the network
  Preprocessing transforms;  ///< from an image to its input
  bool train = false;        ///< its weights are trained, too; otherwise features are kept on disk
};

Json to_json(const CaptionEncoderOptions& options);
/// @throws FormatError  a missing, unknown or impossible value.
CaptionEncoderOptions caption_encoder_options(const Json& json, const std::string& where);

/// The last value of a network that has a place for each part of the image: what is looked at where
/// nothing else is said. @throws LookupError  there is none.
std::string last_spatial_node(const Graph& graph);

/// A network up to one of its nodes, whose value is a grid of vectors: L places of D numbers.
class CaptionEncoder final {
 public:
  /// With the weights of its file. @throws LookupError  no such model or node; ShapeError  the
  /// weights do not fit, or the node's value is no grid.
  explicit CaptionEncoder(const CaptionEncoderOptions& options);
  /// With these weights, `prefix` before each key.
  CaptionEncoder(const CaptionEncoderOptions& options, const Weights& weights,
                 const std::string& prefix);

  const CaptionEncoderOptions& options() const { return options_; }
  int64_t height() const { return shape_[1]; }  ///< of the grid
  int64_t width() const { return shape_[2]; }
  int64_t feature_size() const { return shape_[0]; }  ///< D

  /// An image file as the network takes it: (C, H, W).
  /// @throws IoError, FormatError, ShapeError  it can't be read, or does not lead to the input.
  at::Tensor prepare(const std::filesystem::path& image) const;
  /// What it sees of an image file, before it is normalised: (C, H, W) in [0, 1].
  at::Tensor seen(const std::filesystem::path& image) const;
  /// The grids of several files: (N, L, D), L row by row.
  at::Tensor features(std::span<const std::filesystem::path> images) const;

  Network& network() { return *network_; }

 private:
  void check();
  at::Tensor prepare(const std::filesystem::path& image, const Preprocessing& by) const;

  CaptionEncoderOptions options_;
  std::shared_ptr<Network> network_;
  Shape shape_;  // (D, H, W) of the node
};

/// The features of many images, (N, L, D) float16. @param progress  called with the number of
/// images done.
at::Tensor encoded(const CaptionEncoder& encoder, const std::vector<std::filesystem::path>& images,
                   const std::function<void(int64_t)>& progress = {});

/// The same, mapped from a file that is made when it is not
/// there. Its name tells encoder, node, transforms and images apart; a file that has changed since
/// gets another one.
at::Tensor kept_features(const CaptionEncoder& encoder,
                         const std::vector<std::filesystem::path>& images,
                         const std::filesystem::path& folder,
                         const std::function<void(int64_t)>& progress = {});
}  // namespace striate
