// Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks
// S. Ren, K. He, R. Girshick, J. Sun, 2015
// https://arxiv.org/abs/1506.01497
//
// Departures, as the published weights were trained: one logit for each anchor instead of two,
// anchors that cross the border take part in training, the loss of boxes is divided by the number
// of sampled anchors, and smooth L1 turns over at 1/9.
#include "detection/proposal_network.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "striate/detection/box_coding.h"
#include "striate/detection/suppression.h"

namespace striate {

namespace {

constexpr double kLeastSide = 1e-3;        // of a proposal, pixels
constexpr double kTurningPoint = 1.0 / 9;  // of smooth L1

// (N, A K, H, W) to (N, H W A, K)
at::Tensor by_anchor(const at::Tensor& values, int64_t numbers) {
  return values.unflatten(1, {-1, numbers})
      .permute({0, 3, 4, 1, 2})
      .reshape({values.size(0), -1, numbers});
}

}  // namespace

ProposalNetwork::ProposalNetwork(const DetectorOptions& options, int64_t channels, Layers& layers)
    : options_(options) {
  const size_t maps = options.maps.size() + (options.pyramid_channels > 0 ? 1 : 0);
  if (options.anchors.sizes.size() != maps) {
    throw std::invalid_argument(fmt::format("{} feature maps need anchors of as many sizes, got {}",
                                            maps, options.anchors.sizes.size()));
  }
  const int64_t anchors = options.anchors.per_place(0);
  for (size_t map = 0; map < maps; ++map) {
    if (options.anchors.per_place(map) != anchors || anchors == 0) {
      throw std::invalid_argument("every feature map needs the same number of anchors");
    }
    anchors_of_place_.push_back(
        anchors_of_place(options.anchors.sizes[map], options.anchors.aspect_ratios));
  }
  const Initializer start{.kind = Initializer::Kind::kNormal, .value = 0.01};  // 3.1.3
  conv_ = layers.conv("rpn.head.conv.0.0", channels,
                      {.out_channels = channels, .kernel_size = 3, .padding = 1}, start);
  objectness_ = layers.conv("rpn.head.cls_logits", channels,
                            {.out_channels = anchors, .kernel_size = 1}, start);
  codes_ = layers.conv("rpn.head.bbox_pred", channels,
                       {.out_channels = 4 * anchors, .kernel_size = 1}, start);
}

ProposalNetwork::Output ProposalNetwork::forward(const std::vector<at::Tensor>& maps,
                                                 const ImageBatch& batch) const {
  Output output;
  const Size2 image(batch.padded().height, batch.padded().width);
  for (size_t i = 0; i < maps.size(); ++i) {
    const at::Tensor x = rectified(conv_(maps[i]));
    output.objectness.push_back(by_anchor(objectness_(x), 1).squeeze(2));
    output.codes.push_back(by_anchor(codes_(x), 4));
    const at::Tensor anchors =
        anchors_of_map(anchors_of_place_[i], Size2(maps[i].size(2), maps[i].size(3)), image);
    output.anchors.push_back(anchors.to(x.scalar_type()));
  }
  return output;
}

std::vector<at::Tensor> ProposalNetwork::proposals(const Output& output, const ImageBatch& batch,
                                                   int64_t count) const {
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> proposals;
  for (size_t image = 0; image < batch.sizes.size(); ++image) {
    const auto index = static_cast<int64_t>(image);
    std::vector<at::Tensor> boxes;
    std::vector<at::Tensor> scores;
    std::vector<at::Tensor> groups;
    for (size_t map = 0; map < output.anchors.size(); ++map) {
      const at::Tensor logits = output.objectness[map][index];
      const auto [best, place] = logits.topk(std::min(count, logits.size(0)));
      boxes.push_back(decode_boxes(output.codes[map][index].index_select(0, place),
                                   output.anchors[map].index_select(0, place), kPlainCode)
                          .squeeze(1));
      scores.push_back(best.sigmoid());
      groups.push_back(at::full({place.size(0)}, static_cast<int64_t>(map), at::kLong));
    }
    const at::Tensor clipped = clip_boxes(at::cat(boxes), batch.sizes[image]);
    const at::Tensor large = large_boxes(clipped, kLeastSide);
    const at::Tensor own = clipped.index_select(0, large);
    const at::Tensor kept =
        suppress_overlaps(own, at::cat(scores).index_select(0, large),
                          at::cat(groups).index_select(0, large), options_.proposal_overlap);
    proposals.push_back(own.index_select(0, kept.slice(0, 0, count)));
  }
  return proposals;
}

// Eq. 1.
void ProposalNetwork::add_losses(const Output& output, const std::vector<at::Tensor>& boxes,
                                 Random& random, DetectionLosses& losses) const {
  const at::Tensor anchors = at::cat(output.anchors);
  const at::Tensor objectness = at::cat(output.objectness, 1);
  const at::Tensor codes = at::cat(output.codes, 1);
  at::Tensor of_objectness = objectness.sum() * 0;
  at::Tensor of_boxes = codes.sum() * 0;
  int64_t sampled = 0;
  for (size_t image = 0; image < boxes.size(); ++image) {
    const auto index = static_cast<int64_t>(image);
    const at::Tensor matched = match_boxes(boxes[image], anchors, options_.anchor_match);
    const at::Tensor labels = at::where(matched >= 0, 1, at::where(matched == kBetween, -1, 0));
    const BoxSample sample = draw_balanced(labels, options_.anchor_sample, random);
    sampled += sample.positive.numel() + sample.negative.numel();
    const at::Tensor places = at::cat({sample.positive, sample.negative});
    const at::Tensor logits = objectness[index].index_select(0, places);
    of_objectness =
        of_objectness + at::binary_cross_entropy_with_logits(
                            logits, labels.index_select(0, places).to(logits.scalar_type()), {}, {},
                            at::Reduction::Sum);
    if (sample.positive.numel() == 0) continue;
    const at::Tensor objects =
        boxes[image].index_select(0, matched.index_select(0, sample.positive));
    const at::Tensor targets =
        encode_boxes(objects, anchors.index_select(0, sample.positive), kPlainCode);
    of_boxes = of_boxes + at::smooth_l1_loss(codes[index].index_select(0, sample.positive), targets,
                                             at::Reduction::Sum, kTurningPoint);
  }
  const double count = static_cast<double>(std::max<int64_t>(sampled, 1));
  losses.objectness = of_objectness / count;
  losses.proposal_boxes = of_boxes / count;
}

}  // namespace striate
