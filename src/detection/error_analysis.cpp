// TIDE: A General Toolbox for Identifying Object Detection Errors. Bolya, Foley, Hays, Hoffman,
// 2020. https://arxiv.org/abs/2008.08115 Departure: average precision is COCO's at 101 recalls,
// which the authors' program also computes.

#include "striate/detection/error_analysis.h"

#include <algorithm>
#include <optional>
#include <set>

#include "detection/evaluation_input.h"

namespace striate {
namespace {

constexpr double kFound = 0.5;           // section 2: t_f
constexpr double kBackgroundUpTo = 0.1;  // t_b
constexpr size_t kMostDetections = 100;
constexpr size_t kKinds = kDetectionErrorNames.size();

struct Judgement {
  std::optional<DetectionError> error;
  size_t object = 0;  // that it would have found with another class or place
};

// One image: its detections, each judged, and which objects were missed.
class ImageErrors {
 public:
  ImageErrors(const AnnotatedImage& image, const std::vector<Detection>& detections,
              OverlapOf overlap)
      : image_(image), detections_(detections), overlap_(overlap), found_(image.instances.size()) {
    order_.resize(detections.size());
    for (size_t i = 0; i < order_.size(); ++i) order_[i] = i;
    std::ranges::stable_sort(order_, std::greater(),
                             [&](size_t i) { return detections_[i].score; });
    judgements_.resize(detections.size());
    std::vector<size_t> wrong;
    for (const size_t i : order_) {
      if (!matches(i)) wrong.push_back(i);
    }
    for (const size_t i : wrong) judgements_[i] = judge(i);
    for (size_t j = 0; j < found_.size(); ++j) {
      if (!found_[j] && !image_.instances[j].ignored && !mendable(j)) missed_.insert(j);
    }
  }

  int64_t count(DetectionError kind) const {
    if (kind == DetectionError::kMissed) return std::ssize(missed_);
    return std::ranges::count(judgements_, std::optional(kind), &Judgement::error);
  }

  // The image's detections without the errors of a kind, and what is left to find.
  void mend(DetectionError kind, std::vector<Detection>& detections,
            std::vector<Instance>& instances) const {
    std::vector<bool> taken = found_;
    for (const size_t i : order_) {
      const Judgement& judgement = judgements_[i];
      if (judgement.error != kind) {
        detections.push_back(detections_[i]);
        continue;
      }
      const bool correctable =
          kind == DetectionError::kLocalization || kind == DetectionError::kClass;
      if (!correctable || taken[judgement.object]) continue;
      taken[judgement.object] = true;
      const Instance& object = image_.instances[judgement.object];
      detections.push_back({.box = object.box,
                            .label = object.label,
                            .score = detections_[i].score,
                            .mask = object.mask});
    }
    for (size_t j = 0; j < image_.instances.size(); ++j) {
      const bool dropped = kind == DetectionError::kMissed && missed_.contains(j);
      if (!dropped) instances.push_back(image_.instances[j]);
    }
  }

 private:
  double overlap(size_t i, size_t j) const {
    const Detection& detection = detections_[i];
    const Instance& object = image_.instances[j];
    return overlap_ == OverlapOf::kBoxes
               ? intersection_over_union(detection.box, object.box)
               : mask_intersection_over_union(*detection.mask, *object.mask);
  }

  struct Best {
    double overlap = 0;
    size_t object = 0;
  };
  template <class Fits>
  Best best(size_t i, const Fits& fits) const {
    Best found;
    for (size_t j = 0; j < image_.instances.size(); ++j) {
      if (!fits(j)) continue;
      const double here = overlap(i, j);
      if (here > found.overlap) found = {here, j};
    }
    return found;
  }

  // Whether it finds an object, or one that is ignored.
  bool matches(size_t i) {
    const auto of_class = [&](size_t j, bool ignored) {
      const Instance& object = image_.instances[j];
      return object.label == detections_[i].label && object.ignored == ignored;
    };
    const Best free = best(i, [&](size_t j) { return of_class(j, false) && !found_[j]; });
    if (free.overlap >= kFound) {
      found_[free.object] = true;
      return true;
    }
    return best(i, [&](size_t j) { return of_class(j, true); }).overlap >= kFound;
  }

  Judgement judge(size_t i) const {
    const auto counts = [&](size_t j) { return !image_.instances[j].ignored; };
    const auto same = [&](size_t j) {
      return counts(j) && image_.instances[j].label == detections_[i].label;
    };
    const Best of_class = best(i, same);
    const Best of_others = best(i, [&](size_t j) { return counts(j) && !same(j); });
    if (of_class.overlap >= kBackgroundUpTo && of_class.overlap < kFound) {
      return {DetectionError::kLocalization, of_class.object};
    }
    if (of_others.overlap >= kFound) return {DetectionError::kClass, of_others.object};
    if (of_class.overlap >= kFound) return {DetectionError::kDuplicate, of_class.object};
    if (std::max(of_class.overlap, of_others.overlap) <= kBackgroundUpTo) {
      return {DetectionError::kBackground};
    }
    return {DetectionError::kBoth};
  }

  bool mendable(size_t object) const {
    return std::ranges::any_of(judgements_, [&](const Judgement& one) {
      const bool correctable =
          one.error == DetectionError::kLocalization || one.error == DetectionError::kClass;
      return correctable && one.object == object;
    });
  }

  const AnnotatedImage& image_;
  const std::vector<Detection>& detections_;
  OverlapOf overlap_;
  std::vector<size_t> order_;  // of the detections, the highest score first
  std::vector<bool> found_;    // objects
  std::vector<Judgement> judgements_;
  std::set<size_t> missed_;
};

// Those that COCO's evaluation looks at.
std::vector<std::vector<Detection>> counted(
    const std::vector<std::vector<EvaluationGroup>>& classes, size_t images) {
  std::vector<std::vector<Detection>> lists(images);
  for (const auto& groups : classes) {
    for (const EvaluationGroup& group : groups) {
      const size_t count = std::min(group.detections.size(), kMostDetections);
      for (size_t i = 0; i < count; ++i) lists[group.image].push_back(*group.detections[i]);
    }
  }
  return lists;
}

}  // namespace

ErrorAnalysis analyse_errors(const std::vector<AnnotatedImage>& images,
                             const std::vector<std::vector<Detection>>& detections,
                             const AveragePrecisionOptions& options) {
  const auto lists = counted(group_by_class(images, detections, options), images.size());
  ErrorAnalysis analysis{.ap50 = evaluate_coco(images, detections, options).all.ap50};
  std::vector<ImageErrors> errors;
  for (size_t i = 0; i < images.size(); ++i) {
    errors.emplace_back(images[i], lists[i], options.overlap);
  }
  for (size_t k = 0; k < kKinds; ++k) {
    const auto kind = static_cast<DetectionError>(k);
    std::vector<std::vector<Detection>> mended(images.size());
    std::vector<AnnotatedImage> left(images.size());
    for (size_t i = 0; i < images.size(); ++i) {
      analysis.errors[k].count += errors[i].count(kind);
      left[i].id = images[i].id;
      errors[i].mend(kind, mended[i], left[i].instances);
    }
    if (analysis.ap50 < 0) continue;
    const double ap50 = evaluate_coco(left, mended, options).all.ap50;
    analysis.errors[k].gain = std::max(ap50, 0.0) - analysis.ap50;
  }
  return analysis;
}

}  // namespace striate
