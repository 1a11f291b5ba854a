#pragma once

#include <cstdlib>
#include <filesystem>

namespace striate {

/// Networks and photos that are not part of the project: $STRIATE_SHARED, or `shared` beside the
/// project. A test that reads it is skipped where it is missing.
inline std::filesystem::path shared_folder() {
  const char* folder = std::getenv("STRIATE_SHARED");
  return folder != nullptr ? folder : STRIATE_SHARED_DIR;
}

}  // namespace striate
