#pragma once

#include <string>

#include "striate/base/json.h"

namespace striate::cli {

/// A results file beside a file of instances, both COCO's.
struct DetectionFiles {
  std::string results;
  std::string instances;
  bool masks = false;
  bool lenient = false;
  bool errors = false;  // why average precision is not one
  std::string plot;     // an SVG of precision and recall; empty: none
};

/// COCO's twelve numbers, VOC's for boxes, and each class's.
Json score_detections(const DetectionFiles& files);
std::string describe_detections(const Json& report);

}  // namespace striate::cli
