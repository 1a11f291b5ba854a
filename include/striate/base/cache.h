#pragma once

#include <filesystem>
#include <string>

namespace striate {

/// Where results are kept that can be made again: $STRIATE_CACHE, $XDG_CACHE_HOME/striate or
/// ~/.cache/striate.
std::filesystem::path cache_folder();

/// The file, in such a folder, for what is made of something: another one when that changes.
/// @param kind     what it holds: "features"
/// @param made_of  all that it depends on; of files their `file_state`
std::filesystem::path cache_file(const std::filesystem::path& folder, const std::string& kind,
                                 const std::string& made_of);

/// A file as it is now: its path, size and time of change. @throws IoError  there is none.
std::string file_state(const std::filesystem::path& file);

}  // namespace striate
