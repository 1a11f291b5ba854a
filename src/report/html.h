#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "striate/base/text.h"

namespace striate {

template <class... Arguments>
void append(std::string& out, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Arguments>(arguments)...);
}

/// A text for HTML or SVG, in an element or in a quoted attribute. Control characters and bytes
/// that are not UTF-8 become U+FFFD.
std::string escape(std::string_view text);

/// Escaped like `escape`, and cut after `limit` characters with an ellipsis.
std::string escape_name(std::string_view text, int64_t limit = 60);

/// The number of characters that a reader sees in an UTF-8 text.
int64_t character_count(std::string_view text);

/// A ratio as "97.3 %", or a dash when it is not finite.
std::string percent_text(double ratio, int decimals);
/// `significant` digits, or a dash when the number is not finite.
std::string number_text(double number, int significant);
/// "1 h 02 min", "3 min 05 s", "4.2 s", or a dash when it is not finite or negative.
std::string duration_text(double seconds);

}  // namespace striate
