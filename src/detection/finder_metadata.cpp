#include "detection/finder_metadata.h"

#include <fmt/format.h>

#include "striate/base/error.h"
#include "striate/base/json.h"

namespace striate {

const std::string& metadata_text(const Weights& weights, const char* key,
                                 const std::string& origin) {
  const auto found = weights.metadata.find(key);
  if (found == weights.metadata.end()) {
    throw FormatError(fmt::format("{} does not say its {}", origin, key));
  }
  return found->second;
}

std::vector<std::string> kept_class_names(const Weights& weights, int64_t count,
                                          const std::string& origin) {
  std::vector<std::string> names;
  try {
    names = parse_json(metadata_text(weights, kFinderClassesKey, origin), origin)
                .get<std::vector<std::string>>();
  } catch (const Json::exception& error) {
    throw FormatError(fmt::format("{}: its classes are damaged: {}", origin, error.what()));
  }
  if (std::ssize(names) != count) {
    throw FormatError(fmt::format("{} names {} classes of {}", origin, names.size(), count));
  }
  return names;
}

}  // namespace striate
