#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace striate {

/// "1,234,567".
std::string with_thousands(int64_t number);

/// "61.1 MB", "3.1 kB": powers of 1000.
std::string readable_bytes(int64_t bytes);

/// A line for each row, with columns as wide as their widest cell.
/// @param alignment  a letter for each column: 'l' left, 'r' right; the last one goes for the rest.
std::string aligned_table(const std::vector<std::vector<std::string>>& rows,
                          const std::string& alignment);

}  // namespace striate
