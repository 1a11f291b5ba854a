// Average precision and recall as COCO defines them. Microsoft COCO: Common Objects in Context.
// Lin, Maire, Belongie, Hays, Perona, Ramanan, Dollár, Zitnick, 2014.
// https://arxiv.org/abs/1405.0312 What the paper leaves open (ties, crowds, areas) is as in
// pycocotools.

#include <ATen/Parallel.h>

#include <algorithm>
#include <bitset>
#include <limits>
#include <span>

#include "detection/evaluation_input.h"
#include "striate/detection/average_precision.h"

namespace striate {
namespace {

enum Size : size_t { kAnySize, kSmall, kMedium, kLarge, kSizes };

// Areas in pixels, both ends included.
constexpr std::array<std::array<double, 2>, kSizes> kAreas = {
    {{0, 1e10}, {0, 32 * 32}, {32 * 32, 96 * 96}, {96 * 96, 1e10}}};
// How many detections of an image and class count at most.
constexpr std::array<size_t, 3> kLimits = {1, 10, 100};
constexpr size_t kMostDetections = kLimits.back();

using Thresholds = std::array<double, kCocoThresholds>;

// As numpy.linspace makes them: ties with overlaps and recalls fall the same way.
Thresholds thresholds() {
  Thresholds values{};
  const double step = (0.95 - 0.5) / (kCocoThresholds - 1);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) * step + 0.5;
  values.back() = 0.95;
  return values;
}

double recall_at(size_t i) {
  return i + 1 == kCocoRecalls ? 1 : static_cast<double>(i) * 0.01;
}

bool within(double area, size_t size) {
  return area >= kAreas[size][0] && area <= kAreas[size][1];
}

// A detection of a class after matching; a bit for each threshold.
struct Outcome {
  double score = 0;
  size_t rank = 0;  // in its image
  std::array<std::bitset<kCocoThresholds>, kSizes> right;
  std::array<std::bitset<kCocoThresholds>, kSizes> wrong;
};

struct Shape {
  Box box;  // around the mask where masks are compared
  double area = 0;
  const RunLengthMask* mask = nullptr;
};

template <class Object>
Shape shape_of(const Object& object, OverlapOf overlap) {
  if (overlap == OverlapOf::kBoxes) return {.box = object.box, .area = object.box.area()};
  return {.box = mask_box(*object.mask),
          .area = static_cast<double>(mask_area(*object.mask)),
          .mask = &*object.mask};
}

// A crowd region covers many objects: what of the detection lies in it is what counts.
double overlap_of(const Shape& detection, const Shape& object, bool crowd) {
  const Box& a = detection.box;
  const Box& b = object.box;
  const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (width <= 0 || height <= 0) return 0;
  double shared = width * height;
  if (detection.mask != nullptr) {
    shared = static_cast<double>(shared_mask_area(*detection.mask, *object.mask));
    if (shared == 0) return 0;
  }
  return shared / (crowd ? detection.area : detection.area + object.area - shared);
}

// Matches the detections of one class in one image with its objects.
class Matcher {
 public:
  Matcher(const EvaluationGroup& group, OverlapOf overlap) : objects_(group.objects) {
    const size_t count = std::min(group.detections.size(), kMostDetections);
    std::vector<Shape> shapes;
    for (const Instance* object : objects_) shapes.push_back(shape_of(*object, overlap));
    overlaps_.reserve(count * objects_.size());
    for (size_t i = 0; i < count; ++i) {
      const Shape shape = shape_of(*group.detections[i], overlap);
      areas_.push_back(shape.area);
      largest_.push_back(0);
      for (size_t j = 0; j < shapes.size(); ++j) {
        overlaps_.push_back(overlap_of(shape, shapes[j], objects_[j]->ignored));
        largest_.back() = std::max(largest_.back(), overlaps_.back());
      }
      outcomes_.push_back({.score = group.detections[i]->score, .rank = i});
    }
  }

  // @return  how many objects count.
  size_t match(size_t size, const Thresholds& thresholds) {
    order_.clear();
    ignored_.clear();
    for (const Instance* object : objects_) {
      ignored_.push_back(object->ignored || !within(object->area, size));
    }
    for (const bool last : {false, true}) {
      for (size_t j = 0; j < objects_.size(); ++j) {
        if (ignored_[j] == last) order_.push_back(j);
      }
    }
    for (size_t t = 0; t < thresholds.size(); ++t) match_at(size, t, thresholds[t]);
    return static_cast<size_t>(std::ranges::count(ignored_, false));
  }

  const std::vector<Outcome>& outcomes() const { return outcomes_; }

 private:
  void match_at(size_t size, size_t t, double threshold) {
    taken_.assign(objects_.size(), false);
    for (size_t i = 0; i < outcomes_.size(); ++i) {
      const size_t j = best_object(i, threshold);
      if (j == kNone) {
        if (within(areas_[i], size)) outcomes_[i].wrong[size].set(t);
        continue;
      }
      taken_[j] = true;
      if (!ignored_[j]) outcomes_[i].right[size].set(t);
    }
  }

  // The free object of the largest overlap; one that counts goes before one that is ignored.
  size_t best_object(size_t i, double threshold) const {
    size_t best = kNone;
    double overlap = threshold;
    if (largest_[i] < overlap) return kNone;
    for (const size_t j : order_) {
      if (taken_[j] && !objects_[j]->ignored) continue;
      if (best != kNone && !ignored_[best] && ignored_[j]) break;
      const double here = overlaps_[i * objects_.size() + j];
      if (here < overlap) continue;
      overlap = here;
      best = j;
    }
    return best;
  }

  static constexpr size_t kNone = std::numeric_limits<size_t>::max();
  const std::vector<const Instance*>& objects_;
  std::vector<double> overlaps_;  // detections x objects
  std::vector<double> areas_;     // of detections
  std::vector<double> largest_;   // overlap of each detection
  std::vector<Outcome> outcomes_;
  std::vector<size_t> order_;
  std::vector<bool> ignored_;
  std::vector<bool> taken_;
};

// What the numbers of one class are means of.
struct ClassResult {
  std::array<size_t, kSizes> objects{};
  std::array<Thresholds, kSizes> precision{};  // mean over the recalls
  std::array<std::array<Thresholds, kLimits.size()>, kSizes> recall{};
  CocoCurves curves{};
};

// Precision and recall at one threshold over the detections from the highest score on.
class Curve {
 public:
  Curve(const std::vector<Outcome>& outcomes, size_t size, size_t t, size_t objects) {
    double right = 0;
    double wrong = 0;
    recall_.reserve(outcomes.size());
    precision_.reserve(outcomes.size());
    for (const Outcome& outcome : outcomes) {
      right += outcome.right[size][t];
      wrong += outcome.wrong[size][t];
      recall_.push_back(right / static_cast<double>(objects));
      precision_.push_back(right / (right + wrong + std::numeric_limits<double>::epsilon()));
    }
    for (size_t i = precision_.size(); i-- > 1;) {
      precision_[i - 1] = std::max(precision_[i - 1], precision_[i]);
    }
  }

  std::array<double, kCocoRecalls> at_recalls() const {
    std::array<double, kCocoRecalls> values{};
    size_t i = 0;
    for (size_t r = 0; r < values.size(); ++r) {
      while (i < recall_.size() && recall_[i] < recall_at(r)) ++i;
      if (i == recall_.size()) break;
      values[r] = precision_[i];
    }
    return values;
  }

 private:
  std::vector<double> recall_;
  std::vector<double> precision_;
};

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double recall_of(const std::vector<Outcome>& outcomes, size_t size, size_t t, size_t limit,
                 size_t objects) {
  double right = 0;
  for (const Outcome& outcome : outcomes) right += outcome.rank < limit && outcome.right[size][t];
  return right / static_cast<double>(objects);
}

ClassResult evaluate_class(const std::vector<EvaluationGroup>& groups, OverlapOf overlap) {
  const Thresholds values = thresholds();
  ClassResult result;
  std::vector<Outcome> outcomes;
  for (const EvaluationGroup& group : groups) {
    Matcher matcher(group, overlap);
    for (size_t size = 0; size < kSizes; ++size)
      result.objects[size] += matcher.match(size, values);
    outcomes.insert(outcomes.end(), matcher.outcomes().begin(), matcher.outcomes().end());
  }
  std::ranges::stable_sort(outcomes, std::greater(), &Outcome::score);
  for (auto& curve : result.curves) curve.fill(-1);
  for (size_t size = 0; size < kSizes; ++size) {
    const size_t objects = result.objects[size];
    if (objects == 0) continue;
    for (size_t t = 0; t < values.size(); ++t) {
      const auto curve = Curve(outcomes, size, t, objects).at_recalls();
      result.precision[size][t] = mean_of(curve);
      if (size == kAnySize) result.curves[t] = curve;
      for (size_t limit = 0; limit < kLimits.size(); ++limit) {
        result.recall[size][limit][t] = recall_of(outcomes, size, t, kLimits[limit], objects);
      }
    }
  }
  return result;
}

CocoScores scores_of(std::span<const ClassResult> classes) {
  const auto mean = [&](size_t size, const auto& number) {
    double sum = 0;
    int64_t count = 0;
    for (const ClassResult& one : classes) {
      if (one.objects[size] == 0) continue;
      sum += number(one);
      ++count;
    }
    return count == 0 ? -1 : sum / static_cast<double>(count);
  };
  const auto precision = [&](size_t size) {
    return mean(size, [&](const ClassResult& one) { return mean_of(one.precision[size]); });
  };
  const auto precision_at = [&](size_t t) {
    return mean(kAnySize, [&](const ClassResult& one) { return one.precision[kAnySize][t]; });
  };
  const auto recall = [&](size_t size, size_t limit) {
    return mean(size, [&](const ClassResult& one) { return mean_of(one.recall[size][limit]); });
  };
  return {.ap = precision(kAnySize),
          .ap50 = precision_at(0),
          .ap75 = precision_at(5),
          .ap_small = precision(kSmall),
          .ap_medium = precision(kMedium),
          .ap_large = precision(kLarge),
          .ar1 = recall(kAnySize, 0),
          .ar10 = recall(kAnySize, 1),
          .ar100 = recall(kAnySize, 2),
          .ar_small = recall(kSmall, 2),
          .ar_medium = recall(kMedium, 2),
          .ar_large = recall(kLarge, 2)};
}

}  // namespace

std::vector<std::pair<std::string, double>> named_scores(const CocoScores& scores) {
  return {{"ap", scores.ap},
          {"ap50", scores.ap50},
          {"ap75", scores.ap75},
          {"ap_small", scores.ap_small},
          {"ap_medium", scores.ap_medium},
          {"ap_large", scores.ap_large},
          {"ar1", scores.ar1},
          {"ar10", scores.ar10},
          {"ar100", scores.ar100},
          {"ar_small", scores.ar_small},
          {"ar_medium", scores.ar_medium},
          {"ar_large", scores.ar_large}};
}

CocoEvaluation evaluate_coco(const std::vector<AnnotatedImage>& images,
                             const std::vector<std::vector<Detection>>& detections,
                             const AveragePrecisionOptions& options) {
  const auto groups = group_by_class(images, detections, options);
  std::vector<ClassResult> results(groups.size());
  at::parallel_for(0, options.class_count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) results[i] = evaluate_class(groups[i], options.overlap);
  });
  CocoEvaluation evaluation{.all = scores_of(results)};
  for (const ClassResult& result : results) {
    evaluation.classes.push_back(scores_of({&result, 1}));
    evaluation.curves.push_back(result.curves);
  }
  return evaluation;
}

}  // namespace striate
