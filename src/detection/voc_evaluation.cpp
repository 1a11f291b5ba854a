// Average precision as Pascal VOC defines it. The Pascal Visual Object Classes (VOC) Challenge.
// Everingham, Van Gool, Williams, Winn, Zisserman, 2010, section 4.2.
// https://doi.org/10.1007/s11263-009-0275-4
// Ties and difficult objects are as in the development kit: a detection belongs to the object of
// its image that it overlaps most, also where that one has been found or is difficult.

#include <algorithm>

#include "detection/evaluation_input.h"

namespace striate {
namespace {

enum class Verdict { kRight, kWrong, kIgnored };

struct Scored {
  double score;
  Verdict verdict;
};

std::vector<Scored> judge(const EvaluationGroup& group, double threshold) {
  std::vector<bool> found(group.objects.size());
  std::vector<Scored> judged;
  for (const Detection* detection : group.detections) {
    double largest = -1;
    size_t best = 0;
    for (size_t i = 0; i < group.objects.size(); ++i) {
      const double overlap = intersection_over_union(detection->box, group.objects[i]->box);
      if (overlap <= largest) continue;
      largest = overlap;
      best = i;
    }
    Verdict verdict = Verdict::kWrong;
    if (largest >= threshold && group.objects[best]->ignored) {
      verdict = Verdict::kIgnored;
    } else if (largest >= threshold && !found[best]) {
      verdict = Verdict::kRight;
      found[best] = true;
    }
    judged.push_back({detection->score, verdict});
  }
  return judged;
}

double eleven_points(const VocClass& curve) {
  double sum = 0;
  for (int point = 0; point <= 10; ++point) {
    double highest = 0;
    for (size_t i = 0; i < curve.recall.size(); ++i) {
      if (curve.recall[i] >= point * 0.1) highest = std::max(highest, curve.precision[i]);
    }
    sum += highest / 11;
  }
  return sum;
}

double area_below(const VocClass& curve) {
  double area = 0;
  double highest = 0;
  for (size_t i = curve.recall.size(); i-- > 0;) {
    highest = std::max(highest, curve.precision[i]);
    area += (curve.recall[i] - (i == 0 ? 0 : curve.recall[i - 1])) * highest;
  }
  return area;
}

VocClass evaluate_class(const std::vector<EvaluationGroup>& groups, const VocOptions& options) {
  int64_t objects = 0;
  std::vector<Scored> judged;
  for (const EvaluationGroup& group : groups) {
    objects += std::ranges::count(group.objects, false, &Instance::ignored);
    const std::vector<Scored> here = judge(group, options.threshold);
    judged.insert(judged.end(), here.begin(), here.end());
  }
  std::ranges::stable_sort(judged, std::greater(), &Scored::score);
  VocClass result;
  if (objects == 0) return result;
  double right = 0;
  double wrong = 0;
  for (const Scored& one : judged) {
    if (one.verdict == Verdict::kRight) ++right;
    if (one.verdict == Verdict::kWrong) ++wrong;
    if (right + wrong == 0) continue;
    result.recall.push_back(right / static_cast<double>(objects));
    result.precision.push_back(right / (right + wrong));
  }
  result.average_precision =
      options.rule == VocRule::kArea ? area_below(result) : eleven_points(result);
  return result;
}

}  // namespace

VocEvaluation evaluate_voc(const std::vector<AnnotatedImage>& images,
                           const std::vector<std::vector<Detection>>& detections,
                           const VocOptions& options) {
  VocEvaluation evaluation;
  double sum = 0;
  int64_t counted = 0;
  for (const auto& groups :
       group_by_class(images, detections, {.class_count = options.class_count})) {
    const VocClass& made = evaluation.classes.emplace_back(evaluate_class(groups, options));
    if (made.average_precision < 0) continue;
    sum += made.average_precision;
    ++counted;
  }
  if (counted > 0) evaluation.mean_average_precision = sum / static_cast<double>(counted);
  return evaluation;
}

}  // namespace striate
