#include "detection/evaluation_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace striate {
namespace {

std::vector<size_t> order_by_id(const std::vector<AnnotatedImage>& images) {
  std::vector<size_t> order(images.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t i) { return images[i].id; });
  return order;
}

class Grouper {
 public:
  explicit Grouper(const AveragePrecisionOptions& options)
      : options_(options), groups_(options.class_count) {}

  void add(size_t image, const std::vector<Instance>& objects,
           const std::vector<Detection>& detections) {
    image_ = image;
    for (const Instance& object : objects) group_of(object).objects.push_back(&object);
    for (const Detection& detection : detections) {
      if (!std::isfinite(detection.score)) {
        throw std::invalid_argument("a detection's score is not a number");
      }
      group_of(detection).detections.push_back(&detection);
    }
  }

  std::vector<std::vector<EvaluationGroup>> finish() {
    for (std::vector<EvaluationGroup>& groups : groups_) {
      for (EvaluationGroup& group : groups) {
        std::ranges::stable_sort(group.detections, std::greater(), &Detection::score);
      }
    }
    return std::move(groups_);
  }

 private:
  template <class Object>
  EvaluationGroup& group_of(const Object& object) {
    if (object.label < 0 || object.label >= options_.class_count) {
      throw std::invalid_argument(
          fmt::format("label {} is not among {} classes", object.label, options_.class_count));
    }
    if (options_.overlap == OverlapOf::kMasks && !object.mask) {
      throw std::invalid_argument("masks are compared, and an object or detection has none");
    }
    std::vector<EvaluationGroup>& groups = groups_[object.label];
    if (groups.empty() || groups.back().image != image_) groups.push_back({.image = image_});
    return groups.back();
  }

  const AveragePrecisionOptions& options_;
  size_t image_ = 0;
  std::vector<std::vector<EvaluationGroup>> groups_;
};

}  // namespace

std::vector<std::vector<EvaluationGroup>> group_by_class(
    const std::vector<AnnotatedImage>& images,
    const std::vector<std::vector<Detection>>& detections, const AveragePrecisionOptions& options) {
  if (images.size() != detections.size()) {
    throw std::invalid_argument(
        fmt::format("{} lists of detections for {} images", detections.size(), images.size()));
  }
  if (options.class_count < 1) throw std::invalid_argument("there are no classes");
  Grouper grouper(options);
  for (const size_t i : order_by_id(images)) grouper.add(i, images[i].instances, detections[i]);
  return grouper.finish();
}

}  // namespace striate
