#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace striate {

/// How many bytes the first code point of a UTF-8 text has; 0 where it is not UTF-8, or empty.
size_t first_length(std::string_view text);

/// The code points of a UTF-8 text, or nothing where it is not UTF-8.
std::optional<std::u32string> decode_utf8(std::string_view text);
/// The same for a text that was checked where it was read.
/// @throws std::invalid_argument  it is not UTF-8.
std::u32string code_points(std::string_view text);

std::string to_utf8(std::u32string_view points);

/// One code point for another, as far as Unicode has one.
char32_t lower_case(char32_t point);
bool is_upper_case(char32_t point);
bool is_letter(char32_t point);
bool is_digit(char32_t point);
/// A letter, a digit, or what is written onto one: the categories L, N and M.
bool is_word_point(char32_t point);
/// White space as Python's str.split has it.
bool is_space(char32_t point);

}  // namespace striate
