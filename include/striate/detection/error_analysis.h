#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "striate/detection/average_precision.h"

namespace striate {

/// What is wrong with a detection that found no object; the overlaps are the largest.
enum class DetectionError {
  kLocalization,  ///< 0.1 to 0.5 with an object of its class
  kClass,         ///< at least 0.5 with one of another class
  kDuplicate,     ///< at least 0.5 with one of its class that a higher score has found
  kBackground,    ///< at most 0.1 with any
  kBoth,          ///< neither class nor place
  kMissed,        ///< an object that no detection found, nor would with another class or place
};
inline constexpr std::array<const char*, 6> kDetectionErrorNames = {
    "localization", "class", "duplicate", "background", "both", "missed"};

struct ErrorCount {
  int64_t count = 0;
  double gain = 0;  ///< by how much ap50 would rise without these errors
};

struct ErrorAnalysis {
  double ap50 = -1;
  std::array<ErrorCount, kDetectionErrorNames.size()> errors;  ///< by DetectionError
};

/// Why average precision at an overlap of 0.5 is not one: each false detection and missed object
/// has one reason, tested in the order above. Errors are mended one kind at a time: the class or
/// the box is corrected unless another detection has found the object, what can't be is left out.
/// @throws std::invalid_argument  as `evaluate_coco`. Source: bolya2020.
ErrorAnalysis analyse_errors(const std::vector<AnnotatedImage>& images,
                             const std::vector<std::vector<Detection>>& detections,
                             const AveragePrecisionOptions& options);

}  // namespace striate
