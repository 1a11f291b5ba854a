#include "striate/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "striate/base/error.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

IoError io_error(const char* action, const fs::path& path) {
  const int code = errno;
  std::string hint;
  if (code == ENOSPC) hint = "free some space; the earlier file, if any, is intact";
  return IoError(fmt::format("can't {} {}: {}", action, path.string(), std::strerror(code)), hint);
}

constexpr const char* kPartialMark = ".part-";

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return value_; }

 private:
  int value_;
};

// Opens a regular file; a folder is an error here rather than at the first read.
int open_for_reading(const fs::path& path, struct stat& status) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw io_error("open", path);
  if (::fstat(file, &status) != 0 || S_ISDIR(status.st_mode)) {
    ::close(file);
    errno = S_ISDIR(status.st_mode) ? EISDIR : errno;
    throw io_error("open", path);
  }
  return file;
}

void write_all(int file, std::span<const uint8_t> bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw io_error("write", path);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

}  // namespace

std::vector<uint8_t> read_file(const fs::path& path, size_t limit_bytes) {
  struct stat status {};
  const Descriptor file(open_for_reading(path, status));
  if (static_cast<size_t>(status.st_size) > limit_bytes) {
    throw FormatError(fmt::format("{} has {} bytes, more than the {} that such a file may have",
                                  path.string(), status.st_size, limit_bytes));
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(status.st_size));
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = ::read(file, bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw io_error("read", path);
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

std::string read_text(const fs::path& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

namespace {

// The file that a path means: behind a link, its target. Renaming over a pipe or a device would
// replace it, so that is refused.
fs::path target_of(const fs::path& path) {
  std::error_code code;
  const fs::path target = fs::is_symlink(path, code) ? fs::weakly_canonical(path, code) : path;
  const fs::file_status status = fs::status(target, code);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw IoError(fmt::format("can't write {}: it exists and is no regular file", path.string()),
                  "name a file");
  }
  return target;
}

// Opens a new file beside `path` whose name nobody else has.
int open_partial(const fs::path& path, std::string& name) {
  static std::atomic<uint64_t> count{0};
  while (true) {
    name = fmt::format("{}{}{}-{}", path.string(), kPartialMark, ::getpid(), count++);
    const int file = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0 || errno != EEXIST) return file;
  }
}

}  // namespace

void write_file_atomically(const fs::path& named, const std::function<void(const Append&)>& write) {
  const fs::path path = target_of(named);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) throw IoError(fmt::format("can't make folder {}: {}", folder.string(), code.message()));

  std::string temporary;
  const Descriptor file(open_partial(path, temporary));
  if (file < 0) throw io_error("write", path);
  try {
    write([&](std::span<const uint8_t> bytes) { write_all(file, bytes, path); });
    if (::fsync(file) != 0) throw io_error("write", path);
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw io_error("write", path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  // The rename itself reaches the disk with its folder.
  const Descriptor parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent >= 0) ::fsync(parent);
}

void write_file_atomically(const fs::path& path, std::span<const uint8_t> bytes) {
  write_file_atomically(path, [&](const Append& append) { append(bytes); });
}

void write_file_atomically(const fs::path& path, const std::string& text) {
  const auto* first = reinterpret_cast<const uint8_t*>(text.data());
  write_file_atomically(path, std::span<const uint8_t>(first, text.size()));
}

FolderLock::FolderLock(const fs::path& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) throw IoError(fmt::format("can't make folder {}: {}", folder.string(), code.message()));
  descriptor_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0) throw io_error("open", folder);
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  const int reason = errno;
  ::close(descriptor_);
  errno = reason;
  if (reason != EWOULDBLOCK) throw io_error("lock", folder);
  throw IoError(fmt::format("another process is writing to {}", folder.string()),
                "wait until it ends, or choose another folder");
}

FolderLock::~FolderLock() {
  ::close(descriptor_);
}

fs::path only_file(const fs::path& folder, const std::string& begin, const std::string& end) {
  fs::path found;
  if (!fs::is_directory(folder)) return found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(begin) || !name.ends_with(end)) continue;
    if (!found.empty()) {
      throw FormatError(
          fmt::format("{} holds {} and {}", folder.string(), found.filename().string(), name),
          "keep one of them there");
    }
    found = entry.path();
  }
  return found;
}

void remove_partial_files(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const bool partial = entry.path().filename().string().find(kPartialMark) != std::string::npos;
    if (partial && entry.is_regular_file()) fs::remove(entry.path());
  }
}

MappedFile::MappedFile(const fs::path& path, MapOptions options) : options_(options) {
  struct stat status {};
  const Descriptor file(open_for_reading(path, status));
  const auto size = static_cast<size_t>(status.st_size);
  if (size == 0) return;
  const int access = options.copy_on_write ? PROT_READ | PROT_WRITE : PROT_READ;
  void* start = ::mmap(nullptr, size, access, MAP_PRIVATE | MAP_NORESERVE, file, 0);
  if (start == MAP_FAILED) throw io_error("map", path);
  bytes_ = {static_cast<uint8_t*>(start), size};
}

std::span<uint8_t> MappedFile::writable_bytes() const {
  if (!options_.copy_on_write) throw std::logic_error("a file that was mapped for reading only");
  return bytes_;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace striate
