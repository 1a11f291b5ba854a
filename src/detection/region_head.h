#pragma once

#include <memory>
#include <vector>

#include "detection/backbone.h"
#include "detection/image_batch.h"

namespace striate {

/// Regions to train a head on, with what they stand for.
struct SampledRegions {
  std::vector<at::Tensor> regions;  // of each image, (R, 4) in pixels of the batch
  std::vector<at::Tensor> labels;   // likewise, (R): 0 for background, else the class + 1
  std::vector<at::Tensor> objects;  // likewise, (R): which object
};

/// Which of the boxes that have a score count as detections.
struct DetectionChoice {
  double score_threshold;  // above it
  double overlap;          // above which detections of a class suppress each other
  int64_t most;
};
/// @param scores  (R, classes)    @param boxes  (R, classes, 4)
FoundObjects found_objects(const at::Tensor& scores, const at::Tensor& boxes,
                           const DetectionChoice& choice);

/// What is in a region, and where exactly. Source: girshick2015.
class RegionHead {
 public:
  RegionHead(const DetectorOptions& options, int64_t channels, std::optional<uint64_t> seed,
             Layers& layers);

  struct Output {
    at::Tensor logits;  // (R, classes + 1)
    at::Tensor codes;   // (R, 4 (classes + 1))
  };
  /// @param values  (R, C, size, size)
  Output forward(const at::Tensor& values);

  /// Draws from proposals and the objects themselves.
  SampledRegions sample(const std::vector<at::Tensor>& proposals,
                        const std::vector<at::Tensor>& boxes,
                        const std::vector<DetectionTarget>& targets, Random& random) const;
  /// @param boxes  of each image, (M, 4) in pixels of the batch
  void add_losses(const Output& output, const SampledRegions& sampled,
                  const std::vector<at::Tensor>& boxes, DetectionLosses& losses) const;

  /// The detections of each image, boxes in pixels of the batch, without masks.
  std::vector<FoundObjects> found(const Output& output, const std::vector<at::Tensor>& regions,
                                  const ImageBatch& batch) const;

  /// The part of the backbone that is the head, or null.
  NetworkPart* part() { return part_.get(); }

 private:
  const DetectorOptions& options_;
  std::unique_ptr<NetworkPart> part_;
  std::vector<DenseLayer> hidden_;
  DenseLayer logits_;
  DenseLayer codes_;
};

}  // namespace striate
