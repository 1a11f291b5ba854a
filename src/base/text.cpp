#include "striate/base/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace striate {

std::string with_thousands(int64_t number) {
  std::string text = std::to_string(number);
  const int64_t first = number < 0 ? 1 : 0;
  for (int64_t i = static_cast<int64_t>(text.size()) - 3; i > first; i -= 3) {
    text.insert(static_cast<size_t>(i), ",");
  }
  return text;
}

std::string readable_bytes(int64_t bytes) {
  const auto number = static_cast<double>(bytes);
  if (bytes >= 1'000'000) return fmt::format("{:.1f} MB", number / 1e6);
  return bytes >= 1000 ? fmt::format("{:.1f} kB", number / 1e3) : fmt::format("{} B", bytes);
}

std::string aligned_table(const std::vector<std::vector<std::string>>& rows,
                          const std::string& alignment) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const bool left = alignment[std::min(i, alignment.size() - 1)] == 'l';
      line += left ? fmt::format("{:<{}}  ", row[i], widths[i])
                   : fmt::format("{:>{}}  ", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace striate
