#pragma once

#include <vector>

#include "detection/layers.h"
#include "detection/region_head.h"

namespace striate {

/// Which pixels of a region belong to its object, for each class. Source: he2017.
class MaskHead {
 public:
  MaskHead(const DetectorOptions& options, int64_t channels, Layers& layers);

  /// @param values  (R, C, size, size)    @return  (R, classes + 1, 2 size, 2 size) logits
  at::Tensor forward(const at::Tensor& values) const;
  /// @param logits  of the regions that stand for objects
  void add_loss(const at::Tensor& logits, const SampledRegions& positive,
                const std::vector<DetectionTarget>& targets, const ImageBatch& batch,
                DetectionLosses& losses) const;
  /// Fills in the masks of what was found, for which `logits` are.
  void set_masks(const at::Tensor& logits, std::vector<FoundObjects>& found) const;

 private:
  std::vector<ConvLayer> layers_;
  DenseLayer enlarge_;
  ConvLayer logits_;
};

/// Those that stand for objects.
SampledRegions positive_of(const SampledRegions& sampled);

}  // namespace striate
