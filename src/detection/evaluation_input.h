#pragma once

#include <vector>

#include "striate/detection/average_precision.h"

namespace striate {

/// The objects and detections of one class in one image.
struct EvaluationGroup {
  size_t image;  ///< the position in the list of images
  std::vector<const Instance*> objects;
  std::vector<const Detection*> detections;  ///< the highest score first, ties as they came
};

/// Both in groups, by class and then by image in the order of their ids; images that have neither
/// are left out. @throws std::invalid_argument  as `evaluate_coco`.
std::vector<std::vector<EvaluationGroup>> group_by_class(
    const std::vector<AnnotatedImage>& images,
    const std::vector<std::vector<Detection>>& detections, const AveragePrecisionOptions& options);

}  // namespace striate
