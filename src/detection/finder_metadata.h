#pragma once

#include <string>
#include <vector>

#include "striate/runtime/weights.h"

namespace striate {

// What the weight files of all that finds objects say.
inline constexpr const char* kFinderModelKey = "striate.model";
inline constexpr const char* kFinderClassesKey = "striate.detector_classes";

/// @throws FormatError  the file does not say it. @param origin  the file, for messages
const std::string& metadata_text(const Weights& weights, const char* key,
                                 const std::string& origin);
/// The names of the classes. @throws FormatError  damaged, or not of so many.
std::vector<std::string> kept_class_names(const Weights& weights, int64_t count,
                                          const std::string& origin);

}  // namespace striate
