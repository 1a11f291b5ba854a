#include "striate/base/json.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "striate/base/file.h"

namespace striate {

namespace {

constexpr int kDeepest = 64;

}  // namespace

Json parse_json(const std::string& text, const std::string& origin) {
  // Deeper values would exhaust the stack when they are copied or written.
  const auto check_depth = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kDeepest) {
      throw FormatError(fmt::format("{} is nested deeper than {} levels", origin, kDeepest));
    }
    return true;
  };
  try {
    return Json::parse(text, check_depth);
  } catch (const nlohmann::json::parse_error& error) {
    throw FormatError(fmt::format("{} is not JSON: parsing stops at byte {}", origin, error.byte));
  } catch (const nlohmann::json::exception&) {
    throw FormatError(fmt::format("{} holds a number that is too large", origin));
  }
}

Json read_json(const std::filesystem::path& path) {
  return parse_json(read_text(path), path.string());
}

Json finite_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

JsonReader::JsonReader(const Json& object, std::string where)
    : object_(object), where_(std::move(where)) {
  if (!object.is_object()) {
    throw FormatError(fmt::format("{} must be a JSON object, got {}", where_, object.dump()));
  }
}

bool JsonReader::has(const std::string& key) {
  known_.insert(key);
  return object_.contains(key);
}

const Json& JsonReader::at(const std::string& key) {
  if (!has(key)) throw error(key, "is missing");
  return object_.at(key);
}

void JsonReader::finish() const {
  for (const auto& [key, value] : object_.items()) {
    if (known_.contains(key)) continue;
    const LookupError unknown = unknown_name("option", key, {known_.begin(), known_.end()});
    throw FormatError(fmt::format("{}.{} is not an option", where_, key), unknown.hint());
  }
}

FormatError JsonReader::error(const std::string& key, const std::string& problem) const {
  return FormatError(fmt::format("{}.{} {}", where_, key, problem));
}

}  // namespace striate
