#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

#include "striate/base/json.h"
#include "striate/detection/detector.h"
#include "striate/runtime/weights.h"

namespace striate {

/// R-CNN's sizes and thresholds.
struct RcnnOptions {
  std::string backbone;  ///< a network of the registry, which stays as it is
  std::string node;      ///< its node whose value describes a region
  int64_t classes = 0;
  int64_t region_size = 224;  ///< pixels along a side of a region as the network sees it
  int64_t context = 16;       ///< of them, on each side, what lies around the region
  int64_t grid = 2;           ///< the node's value becomes means of so many places along a side
  int64_t proposals = 2000;   ///< the most of an image
  double svm_cost = 1e-3;
  int64_t mining_passes = 2;      ///< over all regions, for negatives that are hard
  int64_t first_negatives = 20;   ///< of each image, drawn for the first machines
  double negative_overlap = 0.3;  ///< below which a region is no example of a class
  double box_overlap = 0.6;       ///< from which on a region teaches where boxes are
  double box_regularization = 1000;
  double score_threshold = 0.05;
  double detection_overlap = 0.3;  ///< above which detections of a class suppress each other
  int64_t most_detections = 100;
};
/// Of an object that others read, too: `finish` is theirs. What is missing is as in `usual`.
/// @throws FormatError  an impossible value.
RcnnOptions read_rcnn_options(JsonReader& reader, const RcnnOptions& usual);
Json to_json(const RcnnOptions& options);

/// What R-CNN learns from of one image.
struct RcnnExample {
  at::Tensor features;  ///< (R, D): first of the objects, then of the proposals
  at::Tensor regions;   ///< (R, 4) pixels of the image
  at::Tensor boxes;     ///< (M, 4) of the objects
  at::Tensor labels;    ///< (M) int64, from 0
};

/// Regions with CNN features: a network sees each proposed region on its own, a linear SVM for
/// each class tells what it is, and a linear regression moves its box.
/// Departure: the network is not fine-tuned on warped regions (table 2, rows 1 to 3), and its value
/// is pooled to a small grid.
/// Source: girshick2014.
class Rcnn {
 public:
  /// @throws LookupError  no such backbone, or node of it.
  Rcnn(const RcnnOptions& options, uint64_t seed);
  ~Rcnn();
  Rcnn(const Rcnn&) = delete;
  Rcnn& operator=(const Rcnn&) = delete;

  const RcnnOptions& options() const { return options_; }
  /// `backbone.…`, `svm.weight` (C, D), `svm.bias` (C), `boxes.weight` (4 C, D), `boxes.bias`
  /// (4 C) and `feature_scale` (1). None requires a gradient.
  const NamedTensors& tensors() const { return tensors_; }
  /// @throws ShapeError  keys or shapes are not its own; nothing is changed then.
  void load(const Weights& weights);
  /// The backbone's, from a network for images.
  void load_backbone(const Weights& weights);

  /// What the network says of regions of an image: (R, D) float32, not scaled.
  /// @param image    (3, H, W) in [0, 1]    @param regions  (R, 4) pixels
  at::Tensor features(const at::Tensor& image, const at::Tensor& regions);

  /// Fits the machines and the regression.
  /// @param example   the example of image i, called several times for each
  /// @param progress  called with the passes done and their number
  /// @throws std::invalid_argument  a class has no object, or no negative example.
  void fit(int64_t images, const std::function<RcnnExample(int64_t)>& example, uint64_t seed,
           const std::function<void(int64_t, int64_t)>& progress = {});
  /// The mean of max(0, 1 - y (w x + b)) over the regions and classes of an example.
  double hinge_loss(const RcnnExample& example) const;

  /// What is in regions. A score is 1 / (1 + exp(-margin)).
  /// @param size  of the image
  FoundObjects detect(const at::Tensor& features, const at::Tensor& regions,
                      const ImageSize& size) const;

 private:
  at::Tensor margins(const at::Tensor& features) const;

  RcnnOptions options_;
  class Describer;
  std::unique_ptr<Describer> describer_;
  at::Tensor svm_weight_, svm_bias_, box_weight_, box_bias_, feature_scale_;
  NamedTensors tensors_;
};

}  // namespace striate
