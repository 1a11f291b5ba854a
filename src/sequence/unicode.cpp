#include "sequence/unicode.h"

#include <utf8proc.h>

#include <stdexcept>

namespace striate {

namespace {

struct FirstPoint {
  char32_t point = 0;
  size_t length = 0;  // 0: none
};

FirstPoint first_point(std::string_view text) {
  utf8proc_int32_t point = 0;
  const utf8proc_ssize_t length =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                       static_cast<utf8proc_ssize_t>(text.size()), &point);
  if (length < 1) return {};
  return {static_cast<char32_t>(point), static_cast<size_t>(length)};
}

}  // namespace

size_t first_length(std::string_view text) {
  return first_point(text).length;
}

std::optional<std::u32string> decode_utf8(std::string_view text) {
  std::u32string points;
  points.reserve(text.size());
  while (!text.empty()) {
    const FirstPoint first = first_point(text);
    if (first.length == 0) return std::nullopt;
    points.push_back(first.point);
    text.remove_prefix(first.length);
  }
  return points;
}

std::u32string code_points(std::string_view text) {
  const auto points = decode_utf8(text);
  if (!points) throw std::invalid_argument("a text that is not UTF-8");
  return *points;
}

std::string to_utf8(std::u32string_view points) {
  std::string text;
  for (const char32_t point : points) {
    utf8proc_uint8_t bytes[4];
    const utf8proc_ssize_t length =
        utf8proc_encode_char(static_cast<utf8proc_int32_t>(point), bytes);
    text.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
  }
  return text;
}

char32_t lower_case(char32_t point) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(point)));
}

namespace {

utf8proc_category_t category(char32_t point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(point));
}

}  // namespace

bool is_upper_case(char32_t point) {
  return category(point) == UTF8PROC_CATEGORY_LU;
}

bool is_letter(char32_t point) {
  const utf8proc_category_t kind = category(point);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_digit(char32_t point) {
  return category(point) == UTF8PROC_CATEGORY_ND;
}

bool is_word_point(char32_t point) {
  const utf8proc_category_t kind = category(point);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_NO;
}

bool is_space(char32_t point) {
  if (point < 0x80) return (point >= 9 && point <= 13) || (point >= 28 && point <= 32);
  const utf8proc_category_t kind = category(point);
  return kind == UTF8PROC_CATEGORY_ZS || kind == UTF8PROC_CATEGORY_ZL ||
         kind == UTF8PROC_CATEGORY_ZP || point == 0x85;
}

}  // namespace striate
