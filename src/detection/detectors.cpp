#include <algorithm>

#include "striate/detection/detector_options.h"

namespace striate {

namespace {

constexpr int64_t kVocClasses = 20;
constexpr int64_t kCocoClasses = 90;  // with the numbers that COCO leaves out

// The published ones: their batch-norms divide by the variance alone.
DetectorOptions resnet50_fpn() {
  return {.backbone = "resnet50",
          .maps = {"layer1.2.relu_2", "layer2.3.relu_2", "layer3.5.relu_2", "layer4.2.relu_2"},
          .freeze_up_to = "layer1.2.relu_2",
          .batch_norm_eps = 0,
          .pyramid_channels = 256,
          .classes = kCocoClasses,
          .anchors = {.sizes = {{32}, {64}, {128}, {256}, {512}}}};
}

// What the papers have in common: one map, images of 600 pixels.
DetectorOptions on_one_map(const char* backbone, const char* map) {
  DetectorOptions options{.backbone = backbone, .maps = {map}};
  options.classes = kVocClasses;
  options.min_size = 600;
  options.max_size = 1000;
  options.anchors.sizes = {{128, 256, 512}};
  options.sampling_ratio = 0;
  return options;
}

// Pooled 7x7 regions go through the network's own two hidden layers.
DetectorOptions vgg16() {
  DetectorOptions options = on_one_map("vgg16", "features.29");
  options.freeze_up_to = "features.9";
  options.align = false;
  options.head_begin = "avgpool";
  options.head_end = "classifier.5";
  options.region_sample.count = 128;
  return options;
}

// he2016: the last stage is the head, on regions of 14x14.
DetectorOptions c4(const char* backbone, const char* map) {
  DetectorOptions options = on_one_map(backbone, map);
  options.freeze_up_to = "layer1.2.relu_2";
  options.region_size = 14;
  options.head_begin = map;
  options.head_end = "flatten";
  options.region_sample.count = 128;
  return options;
}

// Small enough to be trained on a processor.
DetectorOptions squeezenet() {
  DetectorOptions options = on_one_map("squeezenet1_0", "features.12.concat");
  options.freeze_up_to = "features.2";
  options.min_size = 480;
  options.max_size = 800;
  options.anchors.sizes = {{32, 64, 128, 256}};
  options.head_size = 256;
  options.region_sample.count = 128;
  options.training_proposals = 1000;
  options.evaluation_proposals = 300;
  return options;
}

DetectorOptions squeezenet_fpn() {
  DetectorOptions options = squeezenet();
  options.maps = {"features.5.concat", "features.10.concat", "features.12.concat"};
  options.pyramid_channels = 96;
  options.anchors.sizes = {{16}, {32}, {64}, {128}};
  options.sampling_ratio = 2;
  return options;
}

DetectorOptions with_masks(DetectorOptions options, int64_t channels) {
  options.masks = true;
  options.mask_channels = channels;
  return options;
}

DetectorOptions from_outside(DetectorOptions options) {
  options.proposes = false;
  options.align = false;
  options.anchors.sizes.clear();
  return options;
}

}  // namespace

const std::vector<DetectorEntry>& detectors() {
  static const std::vector<DetectorEntry> kDetectors = {
      {"fast_rcnn_vgg16", "RoI pooling of proposals from outside", "girshick2015", "fast-rcnn",
       from_outside(vgg16())},
      {"fast_rcnn_squeezenet1_0", "the same on a small network", "girshick2015", "fast-rcnn-small",
       from_outside(squeezenet())},
      {"faster_rcnn_vgg16", "the paper's: RoI pooling of conv5_3", "ren2015", "faster-rcnn",
       vgg16()},
      {"faster_rcnn_resnet50_c4", "the last stage is the head", "ren2015", "faster-rcnn",
       c4("resnet50", "layer3.5.relu_2")},
      {"faster_rcnn_resnet101_c4", "the last stage is the head", "ren2015", "faster-rcnn",
       c4("resnet101", "layer3.22.relu_2")},
      {"faster_rcnn_squeezenet1_0", "RoI align of the last map", "ren2015", "faster-rcnn-small",
       squeezenet()},
      {"fasterrcnn_resnet50_fpn", "the published (torchvision) form", "lin2017", "faster-rcnn-fpn",
       resnet50_fpn()},
      {"faster_rcnn_squeezenet1_0_fpn", "a pyramid over three maps", "lin2017", "faster-rcnn-small",
       squeezenet_fpn()},
      {"maskrcnn_resnet50_fpn", "the published (torchvision) form", "he2017", "mask-rcnn-fpn",
       with_masks(resnet50_fpn(), 256)},
      {"mask_rcnn_squeezenet1_0_fpn", "a pyramid over three maps", "he2017", "mask-rcnn-small",
       with_masks(squeezenet_fpn(), 64)}};
  return kDetectors;
}

const DetectorEntry* find_detector(const std::string& name) {
  const auto found = std::ranges::find(detectors(), name, &DetectorEntry::name);
  return found == detectors().end() ? nullptr : &*found;
}

}  // namespace striate
