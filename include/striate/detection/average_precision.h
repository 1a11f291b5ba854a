#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "striate/detection/instance.h"

namespace striate {

/// What of an object is compared.
enum class OverlapOf { kBoxes, kMasks };

struct AveragePrecisionOptions {
  int64_t class_count = 0;
  OverlapOf overlap = OverlapOf::kBoxes;
};

/// COCO's twelve numbers, each in [0, 1], or -1 where no object counts.
struct CocoScores {
  double ap = -1;    ///< mean of the average precisions at 0.5, 0.55 … 0.95
  double ap50 = -1;  ///< at an overlap of at least 0.5
  double ap75 = -1;
  double ap_small = -1;   ///< objects below 32^2 pixels
  double ap_medium = -1;  ///< from there to 96^2
  double ap_large = -1;
  double ar1 = -1;  ///< mean of the recalls, with one detection for each image and class
  double ar10 = -1;
  double ar100 = -1;
  double ar_small = -1;
  double ar_medium = -1;
  double ar_large = -1;
};

/// The numbers with the names "ap", "ap50" … "ar_large", in COCO's order.
std::vector<std::pair<std::string, double>> named_scores(const CocoScores& scores);

inline constexpr size_t kCocoThresholds = 10;  // 0.5, 0.55 … 0.95
inline constexpr size_t kCocoRecalls = 101;    // 0, 0.01 … 1

/// Of one class: the highest precision at each recall or a higher one.
using CocoCurves = std::array<std::array<double, kCocoRecalls>, kCocoThresholds>;

struct CocoEvaluation {
  CocoScores all;                   ///< means over the classes that have objects
  std::vector<CocoScores> classes;  ///< by label
  std::vector<CocoCurves> curves;   ///< by label: objects of any size, 100 detections; -1 if none
};

/// COCO's evaluation: the numbers of pycocotools, within 1e-6. At most 100 detections count for
/// each image and class, those of the highest scores. Ignored objects are crowd regions. Runs on
/// LibTorch's threads; the result does not depend on their number.
/// @param detections  of each image.
/// @throws std::invalid_argument  other than a list for each image, a label outside the classes, a
/// score that is not a number, or no mask where masks are compared.
/// Source: lin2014coco.
CocoEvaluation evaluate_coco(const std::vector<AnnotatedImage>& images,
                             const std::vector<std::vector<Detection>>& detections,
                             const AveragePrecisionOptions& options);

/// How VOC makes one number of a curve: until 2009 the mean of the precisions at recalls 0, 0.1 …
/// 1, from 2010 on the area below it.
enum class VocRule { kElevenPoints, kArea };

struct VocOptions {
  int64_t class_count = 0;
  VocRule rule = VocRule::kArea;
  double threshold = 0.5;  ///< the least overlap of boxes
};

struct VocClass {
  double average_precision = -1;  ///< -1 where no object counts
  std::vector<double> recall;     ///< after each detection, from the highest score on
  std::vector<double> precision;
};

struct VocEvaluation {
  double mean_average_precision = -1;  ///< over the classes that have objects
  std::vector<VocClass> classes;       ///< by label
};

/// Pascal VOC's evaluation, as its development kit computes it. Ignored objects are the difficult
/// ones. @throws  as `evaluate_coco`. Source: everingham2010, 4.2.
VocEvaluation evaluate_voc(const std::vector<AnnotatedImage>& images,
                           const std::vector<std::vector<Detection>>& detections,
                           const VocOptions& options);

}  // namespace striate
