#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <type_traits>
#include <utility>

#include "striate/base/error.h"

namespace striate {

/// JSON whose objects keep the order in which their keys were written.
using Json = nlohmann::ordered_json;

/// Whether a value, or every value of a list, becomes a T as it is: nlohmann's own conversion cuts
/// fractions off and wraps numbers that are too large.
template <class T>
bool holds_whole(const Json& value) {
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    if (value.is_number_unsigned()) return std::in_range<T>(value.get<uint64_t>());
    return value.is_number_integer() && std::in_range<T>(value.get<int64_t>());
  } else if constexpr (requires { typename T::value_type; } && !std::is_same_v<T, std::string>) {
    for (const Json& item : value) {
      if (!holds_whole<typename T::value_type>(item)) return false;
    }
  }
  return true;
}

/// Parses a JSON text. @param origin  what the text is, for the message: a path, a flag.
/// @throws FormatError  with the origin and the byte where parsing stopped; a text that is nested
/// deeper than 64 levels, or has a number that no double holds.
Json parse_json(const std::string& text, const std::string& origin);
Json read_json(const std::filesystem::path& path);

/// A number; null where it is not finite, which JSON can't say.
Json finite_or_null(double value);

/// Reads an object key by key and refuses keys that nobody asked for, so that a misspelt option is
/// an error and not a default. Call `finish` last.
class JsonReader {
 public:
  /// @param where  the path of the object for messages, as "recipe.optimizer".
  /// @throws FormatError  `object` is not an object.
  JsonReader(const Json& object, std::string where);

  bool has(const std::string& key);
  /// @throws FormatError  the key is missing.
  const Json& at(const std::string& key);
  /// @throws FormatError  the key is missing or of another type.
  template <class T>
  T get(const std::string& key) {
    return convert<T>(at(key), key);
  }
  template <class T>
  T get(const std::string& key, T otherwise) {
    return has(key) ? convert<T>(at(key), key) : otherwise;
  }
  /// @throws FormatError  naming the first key that was never asked for, with the nearest known.
  void finish() const;
  FormatError error(const std::string& key, const std::string& problem) const;

 private:
  template <class T>
  T convert(const Json& value, const std::string& key) {
    try {
      if (holds_whole<T>(value)) return value.get<T>();
    } catch (const nlohmann::json::exception&) {  // reported below
    }
    throw error(key, "has the wrong type: " + value.dump());
  }

  const Json& object_;
  std::string where_;
  std::set<std::string> known_;
};

}  // namespace striate
