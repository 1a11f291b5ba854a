#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <type_traits>

#include "striate/base/error.h"

namespace striate {

/// JSON whose objects keep the order in which their keys were written.
using Json = nlohmann::ordered_json;

/// Parses a JSON text. @param origin  what the text is, for the message: a path, a flag.
/// @throws FormatError  with the origin and the byte where parsing stopped.
Json parse_json(const std::string& text, const std::string& origin);
Json read_json(const std::filesystem::path& path);

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
    // A fraction or a huge number would be cut to an integer in silence.
    constexpr bool wants_integer = std::is_integral_v<T> && !std::is_same_v<T, bool>;
    if (wants_integer && !value.is_number_integer()) {
      throw error(key, "must be a whole number, got " + value.dump());
    }
    try {
      return value.get<T>();
    } catch (const nlohmann::json::exception&) {
      throw error(key, "has the wrong type: " + value.dump());
    }
  }

  const Json& object_;
  std::string where_;
  std::set<std::string> known_;
};

}  // namespace striate
