// Mask R-CNN
// K. He, G. Gkioxari, P. Dollar, R. Girshick, 2017
// https://arxiv.org/abs/1703.06870
#include "detection/mask_head.h"

#include <ATen/ATen.h>

#include <stdexcept>

#include "detection/region_reader.h"
#include "striate/detection/region_pooling.h"

namespace striate {

namespace {

// What each region should be: the part of its object's mask, at the mask's resolution.
at::Tensor wanted_masks(const DetectionTarget& target, const at::Tensor& regions,
                        const at::Tensor& objects, const ImageSize& size, int64_t mask_size) {
  if (!target.masks.defined() || target.masks.size(0) != target.boxes.size(0)) {
    throw std::invalid_argument("a detector with masks is trained on objects with masks");
  }
  const at::Tensor of_mask = at::cat({at::zeros_like(regions.narrow(1, 0, 1)), regions}, 1);
  at::Tensor wanted = at::empty({regions.size(0), mask_size, mask_size}, regions.options());
  for (int64_t object = 0; object < target.masks.size(0); ++object) {  // one enlarged at a time
    const at::Tensor rows = (objects == object).nonzero().squeeze(1);
    if (rows.size(0) == 0) continue;
    const at::Tensor mask = target.masks[object].to(regions.scalar_type()).unsqueeze(0);
    const at::Tensor scaled = at::upsample_nearest2d(mask.unsqueeze(0), {size.height, size.width});
    wanted.index_copy_(
        0, rows, roi_align(scaled, of_mask.index_select(0, rows), {.size = mask_size}).squeeze(1));
  }
  return wanted;
}

}  // namespace

MaskHead::MaskHead(const DetectorOptions& options, int64_t channels, Layers& layers) {
  const Initializer start{.kind = Initializer::Kind::kKaimingFanOut};
  int64_t in = channels;
  for (int64_t i = 0; i < options.mask_layers; ++i) {
    layers_.push_back(layers.conv(
        "roi_heads.mask_head." + std::to_string(i) + ".0", in,
        {.out_channels = options.mask_channels, .kernel_size = 3, .padding = 1}, start));
    in = options.mask_channels;
  }
  enlarge_ =
      layers.enlarging("roi_heads.mask_predictor.conv5_mask", in, options.mask_channels, start);
  logits_ = layers.conv("roi_heads.mask_predictor.mask_fcn_logits", options.mask_channels,
                        {.out_channels = options.classes + 1, .kernel_size = 1},
                        {.kind = Initializer::Kind::kNormal, .value = 0.001});
}

// Fig. 4, right.
at::Tensor MaskHead::forward(const at::Tensor& values) const {
  at::Tensor x = values;
  for (const ConvLayer& layer : layers_) x = rectified(layer(x));
  return logits_(rectified(at::conv_transpose2d(x, enlarge_.weight, enlarge_.bias, /*stride=*/2)));
}

SampledRegions positive_of(const SampledRegions& sampled) {
  SampledRegions positive;
  for (size_t image = 0; image < sampled.regions.size(); ++image) {
    const at::Tensor places = (sampled.labels[image] > 0).nonzero().squeeze(1);
    positive.regions.push_back(sampled.regions[image].index_select(0, places));
    positive.labels.push_back(sampled.labels[image].index_select(0, places));
    positive.objects.push_back(sampled.objects[image].index_select(0, places));
  }
  return positive;
}

void MaskHead::add_loss(const at::Tensor& logits, const SampledRegions& positive,
                        const std::vector<DetectionTarget>& targets, const ImageBatch& batch,
                        DetectionLosses& losses) const {
  std::vector<at::Tensor> wanted;
  for (size_t image = 0; image < targets.size(); ++image) {
    if (positive.regions[image].size(0) == 0) continue;
    wanted.push_back(wanted_masks(targets[image], positive.regions[image], positive.objects[image],
                                  batch.sizes[image], logits.size(2)));
  }
  if (wanted.empty()) {
    losses.masks = logits.sum() * 0;
    return;
  }
  const at::Tensor labels = at::cat(positive.labels);
  const at::Tensor own = logits.index({at::arange(labels.size(0), at::kLong), labels});
  losses.masks = at::binary_cross_entropy_with_logits(own, at::cat(wanted));
}

void MaskHead::set_masks(const at::Tensor& logits, std::vector<FoundObjects>& found) const {
  int64_t row = 0;
  for (FoundObjects& objects : found) {
    const int64_t count = objects.labels.size(0);
    const at::Tensor rows = at::arange(row, row + count, at::kLong);
    objects.masks = logits.index({rows, objects.labels + 1}).sigmoid();
    row += count;
  }
}

}  // namespace striate
