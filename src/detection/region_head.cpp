// Fast R-CNN
// R. Girshick, 2015
// https://arxiv.org/abs/1504.08083
//
// Departures, as the published weights were trained: every proposal below the threshold counts as
// background, not only those that overlap an object by 0.1, and smooth L1 turns over at 1/9.
#include "detection/region_head.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "striate/detection/box_coding.h"
#include "striate/detection/suppression.h"

namespace striate {

namespace {

constexpr double kLeastSide = 1e-2;        // of a detection, pixels
constexpr double kTurningPoint = 1.0 / 9;  // of smooth L1

Initializer normal(double deviation) {
  return {.kind = Initializer::Kind::kNormal, .value = deviation};
}

}  // namespace

FoundObjects found_objects(const at::Tensor& scores, const at::Tensor& boxes,
                           const DetectionChoice& choice) {
  const at::Tensor likely = (scores.flatten() > choice.score_threshold).nonzero().squeeze(1);
  at::Tensor own_boxes = boxes.reshape({-1, 4}).index_select(0, likely);
  const at::Tensor large = large_boxes(own_boxes, kLeastSide);
  own_boxes = own_boxes.index_select(0, large);
  const at::Tensor places = likely.index_select(0, large);
  const at::Tensor own_scores = scores.flatten().index_select(0, places);
  const at::Tensor labels = places.remainder(scores.size(1));
  const at::Tensor kept =
      suppress_overlaps(own_boxes, own_scores, labels, choice.overlap).slice(0, 0, choice.most);
  return {.boxes = own_boxes.index_select(0, kept),
          .labels = labels.index_select(0, kept),
          .scores = own_scores.index_select(0, kept),
          .masks = {}};
}

RegionHead::RegionHead(const DetectorOptions& options, int64_t channels,
                       std::optional<uint64_t> seed, Layers& layers)
    : options_(options) {
  int64_t features = options.head_size;
  if (options.head_begin.empty()) {
    const int64_t values = channels * options.region_size * options.region_size;
    hidden_.push_back(layers.linear("roi_heads.box_head.fc6", values, features, {}));
    hidden_.push_back(layers.linear("roi_heads.box_head.fc7", features, features, {}));
  } else {
    part_ = std::make_unique<NetworkPart>(
        options,
        GraphPart{.begin = options.head_begin,
                  .input = {channels, options.region_size, options.region_size},
                  .ends = {options.head_end}},
        seed);
    features = volume(part_->output_shape(0));
  }
  const int64_t classes = options.classes + 1;
  // 4.1
  logits_ = layers.linear("roi_heads.box_predictor.cls_score", features, classes, normal(0.01));
  codes_ = layers.linear("roi_heads.box_predictor.bbox_pred", features, 4 * classes, normal(0.001));
}

RegionHead::Output RegionHead::forward(const at::Tensor& values) {
  at::Tensor x = values;
  if (part_ != nullptr) {
    x = part_->outputs(x).front().flatten(1);
  } else {
    x = x.flatten(1);
    for (const DenseLayer& layer : hidden_) x = rectified(layer(x));
  }
  return {.logits = logits_(x), .codes = codes_(x)};
}

SampledRegions RegionHead::sample(const std::vector<at::Tensor>& proposals,
                                  const std::vector<at::Tensor>& boxes,
                                  const std::vector<DetectionTarget>& targets,
                                  Random& random) const {
  SampledRegions sampled;
  for (size_t image = 0; image < proposals.size(); ++image) {
    const at::Tensor all = at::cat({proposals[image], boxes[image]});
    const at::Tensor matched = match_boxes(boxes[image], all, options_.region_match);
    at::Tensor labels = at::where(matched == kBetween, -1, 0);
    if (boxes[image].size(0) > 0) {
      const at::Tensor of_objects = targets[image].labels.index_select(0, matched.clamp_min(0)) + 1;
      labels = at::where(matched >= 0, of_objects, labels);
    }
    const BoxSample sample = draw_balanced(labels, options_.region_sample, random);
    const at::Tensor places = std::get<0>(at::cat({sample.positive, sample.negative}).sort());
    sampled.regions.push_back(all.index_select(0, places));
    sampled.labels.push_back(labels.index_select(0, places));
    sampled.objects.push_back(matched.clamp_min(0).index_select(0, places));
  }
  return sampled;
}

// Eqs. 1 to 3.
void RegionHead::add_losses(const Output& output, const SampledRegions& sampled,
                            const std::vector<at::Tensor>& boxes, DetectionLosses& losses) const {
  const at::Tensor labels = at::cat(sampled.labels);
  const double count = static_cast<double>(std::max<int64_t>(labels.numel(), 1));
  losses.classes = -output.logits.log_softmax(1).gather(1, labels.unsqueeze(1)).sum() / count;
  std::vector<at::Tensor> targets;
  for (size_t image = 0; image < boxes.size(); ++image) {
    const at::Tensor positive = (sampled.labels[image] > 0).nonzero().squeeze(1);
    if (positive.numel() == 0) continue;
    targets.push_back(
        encode_boxes(boxes[image].index_select(0, sampled.objects[image].index_select(0, positive)),
                     sampled.regions[image].index_select(0, positive), kHeadCode));
  }
  if (targets.empty()) {
    losses.boxes = output.codes.sum() * 0;
    return;
  }
  const at::Tensor positive = (labels > 0).nonzero().squeeze(1);
  const at::Tensor codes =
      output.codes.unflatten(1, {-1, 4}).index({positive, labels.index_select(0, positive)});
  losses.boxes =
      at::smooth_l1_loss(codes, at::cat(targets), at::Reduction::Sum, kTurningPoint) / count;
}

std::vector<FoundObjects> RegionHead::found(const Output& output,
                                            const std::vector<at::Tensor>& regions,
                                            const ImageBatch& batch) const {
  const at::Tensor all = at::cat(regions);
  const at::Tensor boxes = decode_boxes(output.codes, all, kHeadCode);  // (R, classes + 1, 4)
  const at::Tensor scores = output.logits.softmax(1);
  std::vector<FoundObjects> found;
  int64_t row = 0;
  for (size_t image = 0; image < regions.size(); ++image) {
    const int64_t rows = regions[image].size(0);
    found.push_back(
        found_objects(scores.narrow(0, row, rows).slice(1, 1),
                      clip_boxes(boxes.narrow(0, row, rows).slice(1, 1), batch.sizes[image]),
                      {.score_threshold = options_.score_threshold,
                       .overlap = options_.detection_overlap,
                       .most = options_.most_detections}));
    row += rows;
  }
  return found;
}

}  // namespace striate
