#pragma once

#include <string>

#include "striate/base/json.h"

namespace striate::cli {

/// What a data set of texts holds. @param spelling  text:FILE, captions:DIR or pairs:FILE_A:FILE_B.
bool is_text_data(const std::string& spelling);
Json text_data_report(const std::string& spelling);
std::string describe_text_data(const Json& report);

}  // namespace striate::cli
