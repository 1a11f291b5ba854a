#pragma once

#include <string>

#include "cli/detection_measures.h"

namespace striate::cli {

/// COCO's results beside the objects that are there.
struct DetectionFiles {
  std::string results;
  std::string instances;  // COCO's file, or a data set as coco:DIR
  std::string part;       // of the data set: train, validation or test
  bool masks = false;
  DetectionRequest request;
};

/// COCO's twelve numbers, VOC's for boxes, and each class's. Writes the plot.
Json score_detections(const DetectionFiles& files);
std::string describe_detections(const Json& report);

}  // namespace striate::cli
