#pragma once

#include <vector>

#include "detection/image_batch.h"
#include "detection/layers.h"

namespace striate {

/// The region proposal network: at each place of the maps, which anchors are objects, and where
/// exactly. Source: ren2015.
class ProposalNetwork {
 public:
  ProposalNetwork(const DetectorOptions& options, int64_t channels, Layers& layers);

  /// What it says of every anchor.
  struct Output {
    std::vector<at::Tensor> anchors;     // of each map, (n, 4)
    std::vector<at::Tensor> objectness;  // likewise, (N, n) logits
    std::vector<at::Tensor> codes;       // likewise, (N, n, 4)
  };
  Output forward(const std::vector<at::Tensor>& maps, const ImageBatch& batch) const;

  /// The proposals of each image, (P, 4) in pixels of the batch, the likeliest first. @param count
  /// how many at most.
  std::vector<at::Tensor> proposals(const Output& output, const ImageBatch& batch,
                                    int64_t count) const;
  /// Adds the losses to `losses`. @param boxes  of each image, (M, 4) in pixels of the batch
  void add_losses(const Output& output, const std::vector<at::Tensor>& boxes, Random& random,
                  DetectionLosses& losses) const;

 private:
  const DetectorOptions& options_;
  std::vector<at::Tensor> anchors_of_place_;
  ConvLayer conv_;
  ConvLayer objectness_;
  ConvLayer codes_;
};

}  // namespace striate
