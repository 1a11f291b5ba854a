#include "striate/detection/detector_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "detection/finder_metadata.h"
#include "striate/base/error.h"

namespace striate {

namespace {

constexpr const char* kDetectorKey = "striate.detector";
constexpr const char* kScores = "roi_heads.box_predictor.cls_score.weight";
constexpr const char* kPyramid = "backbone.body.layer4.2.bn3.weight";
constexpr const char* kMasks = "roi_heads.mask_predictor.mask_fcn_logits.weight";

NamedDetector assemble(const std::string& name, const DetectorOptions& options,
                       std::vector<std::string> class_names, const Weights& weights) {
  NamedDetector result{.name = name,
                       .detector = std::make_shared<Detector>(options, std::nullopt),
                       .class_names = std::move(class_names)};
  result.detector->load(weights);
  return result;
}

NamedDetector published(const Weights& weights, const std::string& origin) {
  const std::string name =
      weights.tensors.contains(kMasks) ? "maskrcnn_resnet50_fpn" : "fasterrcnn_resnet50_fpn";
  DetectorOptions options = find_detector(name)->options;
  const at::Tensor& scores = weights.tensors.at(kScores);
  if (scores.dim() != 2 || scores.size(0) < 2) {
    throw ShapeError(
        fmt::format("[{}] of {} needs (classes + 1, channels) with at least one class, got ({})",
                    kScores, origin, fmt::join(scores.sizes(), ", ")));
  }
  options.classes = scores.size(0) - 1;
  std::vector<std::string> class_names;
  for (int64_t i = 1; i <= options.classes; ++i) class_names.push_back(std::to_string(i));
  return assemble(name, options, std::move(class_names), with_newer_keys(weights));
}

}  // namespace

std::map<std::string, std::string> detector_metadata(const NamedDetector& detector) {
  return {{"format", "pt"},
          {kFinderModelKey, detector.name},
          {kDetectorKey, to_json(detector.detector->options()).dump()},
          {kFinderClassesKey, Json(detector.class_names).dump()}};
}

bool is_detector(const Weights& weights) {
  return weights.metadata.contains(kDetectorKey) ||
         (weights.tensors.contains(kScores) && weights.tensors.contains(kPyramid));
}

NamedDetector load_detector(const Weights& weights, const std::string& origin) {
  if (!is_detector(weights)) {
    throw LookupError(origin + " holds no detector",
                      "striate train faster_rcnn_squeezenet1_0 --data DATA makes one");
  }
  if (!weights.metadata.contains(kDetectorKey)) return published(weights, origin);
  const std::string name = metadata_text(weights, kFinderModelKey, origin);
  const DetectorEntry* const entry = find_detector(name);
  if (entry == nullptr) throw LookupError(fmt::format("{}: {} is no detector", origin, name));
  const DetectorOptions options = detector_options(
      parse_json(metadata_text(weights, kDetectorKey, origin), origin), entry->options, origin);
  return assemble(name, options, kept_class_names(weights, options.classes, origin), weights);
}

}  // namespace striate
