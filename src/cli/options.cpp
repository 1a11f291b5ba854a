#include "cli/options.h"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>

namespace striate::cli {

Shape parse_shape(const std::string& text) {
  Shape shape;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    int64_t size = 0;
    const auto [next, error] = std::from_chars(at, end, size);
    if (error != std::errc() || size < 1 || size > 65536 || (next < end && *next != 'x')) break;
    shape.push_back(size);
    if (next == end && shape.size() == 3) return shape;
    at = next + 1;
  }
  throw std::invalid_argument(fmt::format("\"{}\" is no input: write CxHxW, as 3x224x224", text));
}

std::string check_probability(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stop == end && value > 0 && value <= 1) return "";
  return fmt::format("\"{}\" is no probability in (0, 1]", text);
}

}  // namespace striate::cli
