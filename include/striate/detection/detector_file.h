#pragma once

#include <memory>
#include <string>
#include <vector>

#include "striate/detection/detector.h"

namespace striate {

/// A detector with the names of its classes.
struct NamedDetector {
  std::string name;  ///< as `DetectorEntry`
  std::shared_ptr<Detector> detector;
  std::vector<std::string> class_names;
};

/// What a weight file must say so that it can be used without anything else.
std::map<std::string, std::string> detector_metadata(const NamedDetector& detector);
/// Whether weights are a detector's: they say so, or have the keys of torchvision's.
bool is_detector(const Weights& weights);
/// A detector from its weights. Those of torchvision's `fasterrcnn_resnet50_fpn` and
/// `maskrcnn_resnet50_fpn` say nothing about themselves; their classes are called by their numbers.
/// @param origin  what they are, for messages
/// @throws LookupError  they are no detector's; FormatError  what they say is damaged; ShapeError
/// keys or shapes are not the detector's.
NamedDetector load_detector(const Weights& weights, const std::string& origin);

}  // namespace striate
