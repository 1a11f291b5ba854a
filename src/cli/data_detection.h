#pragma once

#include <string>

#include "striate/base/json.h"

namespace striate::cli {

/// Images, their sizes and the objects of each class, of each part of coco:, voc: or masks:.
Json detection_data_report(const std::string& spelling, bool lenient);
std::string describe_detection_data(const Json& report);

/// "48-64" of [48, 64]; "48" of two that are equal.
std::string describe_range(const Json& two);

}  // namespace striate::cli
