#include "striate/base/cache.h"

#include <fmt/format.h>

#include <cstdlib>

#include "striate/base/error.h"
#include "striate/base/random.h"

namespace striate {

namespace fs = std::filesystem;

fs::path cache_folder() {
  if (const char* own = std::getenv("STRIATE_CACHE")) return own;
  if (const char* cache = std::getenv("XDG_CACHE_HOME")) return fs::path(cache) / "striate";
  if (const char* home = std::getenv("HOME")) return fs::path(home) / ".cache" / "striate";
  return fs::temp_directory_path() / "striate";
}

fs::path cache_file(const fs::path& folder, const std::string& kind, const std::string& made_of) {
  return folder / fmt::format("{}-{:016x}.safetensors", kind, hash_name(made_of.c_str()));
}

std::string file_state(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  if (error) throw IoError(fmt::format("there is no {}", file.string()));
  return fmt::format("{} {} {}\n", fs::absolute(file).string(), size,
                     fs::last_write_time(file).time_since_epoch().count());
}

}  // namespace striate
