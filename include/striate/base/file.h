#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace striate {

/// A whole file. @throws IoError  it can't be read; FormatError  it is larger than `limit_bytes`.
std::vector<uint8_t> read_file(const std::filesystem::path& path,
                               size_t limit_bytes = size_t{1} << 40);
std::string read_text(const std::filesystem::path& path);

/// Writes a file so that readers see the old content or the new, never a part: a temporary file in
/// the same folder is written, synced to the disk and renamed. On an error the temporary file is
/// removed and the old file stays. Makes missing parent folders; follows a link.
/// @throws IoError  the system's reason (a full disk, for instance), or `path` is a pipe, a device
/// or a folder.
void write_file_atomically(const std::filesystem::path& path, std::span<const uint8_t> bytes);
void write_file_atomically(const std::filesystem::path& path, const std::string& text);

/// The same for content that comes in pieces: `write` is called once with a function that appends.
using Append = std::function<void(std::span<const uint8_t>)>;
void write_file_atomically(const std::filesystem::path& path,
                           const std::function<void(const Append&)>& write);

struct MapOptions {
  /// The bytes may be written to. What is written stays in this process: the file is unchanged.
  bool copy_on_write = false;
};

/// The file of a folder whose name begins and ends so; empty: there is none, or no
/// such folder.
/// @throws FormatError  there are several.
std::filesystem::path only_file(const std::filesystem::path& folder, const std::string& begin,
                                const std::string& end);

/// A lock on a folder that ends with the object, or with the process however that ends.
class FolderLock {
 public:
  /// Makes the folder if it does not exist. @throws IoError  another process holds the lock.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

/// Removes what a killed process left behind of files that it was writing in this folder. No other
/// process may be writing there.
void remove_partial_files(const std::filesystem::path& folder);

/// A file mapped into memory for reading.
class MappedFile {
 public:
  /// @throws IoError  it can't be opened or mapped.
  explicit MappedFile(const std::filesystem::path& path, MapOptions options = {});
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const uint8_t> bytes() const { return bytes_; }
  /// @throws std::logic_error  the file was not mapped with `copy_on_write`.
  std::span<uint8_t> writable_bytes() const;

 private:
  std::span<uint8_t> bytes_;
  MapOptions options_;
};

}  // namespace striate
