#include "report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace striate {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::string_view kDash = "\xE2\x80\x93";
constexpr std::string_view kEllipsis = "\xE2\x80\xA6";

// The length of the UTF-8 character at `position`, or 0 when there is none (Unicode, table 3-7).
size_t character_length(std::string_view text, size_t position) {
  auto byte = [&](size_t offset) -> unsigned {
    return position + offset < text.size() ? static_cast<unsigned char>(text[position + offset])
                                           : 0;
  };
  auto in = [](unsigned value, unsigned low, unsigned high) {
    return value >= low && value <= high;
  };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (in(first, 0xC2, 0xDF)) return in(second, 0x80, 0xBF) ? 2 : 0;
  if (in(first, 0xE0, 0xEF)) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    // XML does not allow U+FFFE and U+FFFF.
    const bool forbidden = first == 0xEF && second == 0xBF && byte(2) >= 0xBE;
    return in(second, low, high) && in(byte(2), 0x80, 0xBF) && !forbidden ? 3 : 0;
  }
  if (in(first, 0xF0, 0xF4)) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
    const bool rest = in(byte(2), 0x80, 0xBF) && in(byte(3), 0x80, 0xBF);
    return in(second, low, high) && rest ? 4 : 0;
  }
  return 0;
}

void append_character(std::string& out, std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character == "&") {
    out += "&amp;";
  } else if (character == "<") {
    out += "&lt;";
  } else if (character == ">") {
    out += "&gt;";
  } else if (character == "\"") {
    out += "&quot;";
  } else if (character == "'") {
    out += "&#39;";
  } else if (first == '\n' || first == '\t') {
    out += ' ';
  } else if (first < 0x20 || first == 0x7F) {
    out += kReplacement;
  } else {
    out += character;
  }
}

}  // namespace

std::string escape(std::string_view text) {
  return escape_name(text, std::numeric_limits<int64_t>::max());
}

std::string escape_name(std::string_view text, int64_t limit) {
  std::string out;
  int64_t characters = 0;
  for (size_t i = 0; i < text.size(); ++characters) {
    if (characters == limit) return out.append(kEllipsis);
    const size_t length = character_length(text, i);
    if (length == 0) {
      out += kReplacement;
      ++i;
    } else {
      append_character(out, text.substr(i, length));
      i += length;
    }
  }
  return out;
}

int64_t character_count(std::string_view text) {
  int64_t count = 0;
  for (unsigned char byte : text) count += (byte & 0xC0) != 0x80;
  return count;
}

std::string percent_text(double ratio, int decimals) {
  if (!std::isfinite(ratio)) return std::string(kDash);
  return fmt::format("{:.{}f} %", 100 * ratio, decimals);
}

std::string number_text(double number, int significant) {
  if (!std::isfinite(number)) return std::string(kDash);
  return fmt::format("{:.{}g}", number, significant);
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return std::string(kDash);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  // Beyond this many years the text says nothing more.
  const auto whole = static_cast<int64_t>(std::min(std::round(seconds), 1e12));
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", with_thousands(whole / 3600), whole % 3600 / 60);
}

}  // namespace striate
