#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "striate/base/random.h"
#include "striate/detection/detector_options.h"
#include "striate/detection/instance.h"
#include "striate/image/image.h"
#include "striate/runtime/weights.h"

namespace striate {

/// What is in an image, to train by.
struct DetectionTarget {
  at::Tensor boxes;   ///< (M, 4) float32, pixels of the image; M may be 0
  at::Tensor labels;  ///< (M) int64, from 0
  at::Tensor masks;   ///< (M, H, W) uint8, 0 or 1; undefined where none are trained
};

/// The parts of a detector's loss, each a scalar; what it does not have is undefined.
struct DetectionLosses {
  at::Tensor objectness;      ///< whether anchors are objects (ren2015, eq. 1)
  at::Tensor proposal_boxes;  ///< where they are
  at::Tensor classes;         ///< what is in regions (girshick2015, eq. 1)
  at::Tensor boxes;           ///< where it is
  at::Tensor masks;           ///< which pixels it has (he2017, 3)

  at::Tensor total() const;
};

/// What a detector found in one image, by falling score.
struct FoundObjects {
  at::Tensor boxes;   ///< (K, 4) float32, pixels of the image
  at::Tensor labels;  ///< (K) int64, from 0
  at::Tensor scores;  ///< (K) in [0, 1]
  at::Tensor masks;   ///< (K, m, m) in [0, 1]: of the box's pixels; undefined without masks
};

/// R-CNN's successors on a network of the registry: Fast and Faster R-CNN, on one map or a feature
/// pyramid, and Mask R-CNN. Tensors have torchvision's names (`backbone.body.…`, `rpn.head.…`,
/// `roi_heads.…`), so that published files load as they are. On the processor.
/// Source: girshick2015, ren2015, lin2017, he2017.
class Detector {
 public:
  /// @param seed  of the weights; none: they are undetermined until they are loaded.
  /// @throws LookupError  no such backbone, or node of it; std::invalid_argument  sizes that do not
  /// go together.
  Detector(const DetectorOptions& options, std::optional<uint64_t> seed);
  ~Detector();
  Detector(const Detector&) = delete;
  Detector& operator=(const Detector&) = delete;

  const DetectorOptions& options() const;
  /// Parameters and buffers by key. What is trained requires a gradient.
  const NamedTensors& tensors() const;
  /// Float32 or float64.
  void to(at::ScalarType type);
  /// @throws ShapeError  keys or shapes are not the detector's; nothing is changed then.
  void load(const Weights& weights);
  /// The weights of a network for images, for the backbone and a head that is a part of it.
  /// @throws ShapeError  some that are needed are missing or of another shape.
  void load_backbone(const Weights& weights);

  /// The losses of a batch, in training mode.
  /// @param images     (3, H, W) each, of any sizes, in [0, 1]
  /// @param random     draws the boxes that are trained on
  /// @param proposals  (P, 4) of each image in its pixels, where they come from outside
  DetectionLosses losses(const std::vector<at::Tensor>& images,
                         const std::vector<DetectionTarget>& targets, Random& random,
                         const std::vector<at::Tensor>& proposals = {});

  /// What is in images, by the weights as they were at the last `load` or `losses`.
  std::vector<FoundObjects> detect(const std::vector<at::Tensor>& images,
                                   const std::vector<at::Tensor>& proposals = {});
  /// What the first stage proposes in an image: (P, 4) in its pixels, the likeliest first.
  at::Tensor propose(const at::Tensor& image);
  /// The anchors in the middle of an image, of each feature map: (A, 4) in its pixels.
  std::vector<at::Tensor> middle_anchors(const at::Tensor& image);

 private:
  class Parts;
  std::unique_ptr<Parts> parts_;
};

/// An image as detectors take it: (3, H, W) float32 in [0, 1].
at::Tensor image_tensor(const Image& image);

/// Keys that torchvision's older files have, by their newer names. (`rpn.head.conv.weight`)
Weights with_newer_keys(Weights weights);

/// The pixels of a found object: its mask enlarged to its box.
/// @param mask  (m, m) in [0, 1]    @param size  of the image
/// @return      (H, W) in [0, 1]; what is at least 0.5 belongs to the object
/// Source: he2017, 3.1.
at::Tensor paste_mask(const at::Tensor& mask, const Box& box, const ImageSize& size);

/// Found objects as plain data; masks are run lengths of the pixels of at least 0.5.
std::vector<Detection> to_detections(const FoundObjects& found, const ImageSize& size);

}  // namespace striate
