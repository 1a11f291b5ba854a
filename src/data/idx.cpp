// The IDX format of MNIST and kin: a big-endian magic number (0x0803 images, 0x0801 labels), the
// sizes of the axes, then one byte for each value; often gzipped.
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "data/kinds.h"
#include "striate/base/error.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

constexpr uint32_t kImagesMagic = 0x0803;
constexpr uint32_t kLabelsMagic = 0x0801;
constexpr int64_t kLimitBytes = int64_t{1} << 32;

// Reads a plain or gzipped file; zlib tells them apart.
class GzFile {
 public:
  explicit GzFile(fs::path path) : path_(std::move(path)), file_(gzopen(path_.c_str(), "rb")) {
    if (file_ == nullptr) throw IoError(fmt::format("can't open {}", path_.string()));
  }
  ~GzFile() { gzclose(file_); }
  GzFile(const GzFile&) = delete;
  GzFile& operator=(const GzFile&) = delete;

  void read(uint8_t* out, int64_t count) {
    while (count > 0) {
      const int got = gzread(file_, out, static_cast<unsigned>(std::min<int64_t>(count, 1 << 28)));
      if (got <= 0) cut_short();
      out += got;
      count -= got;
      position_ += got;
    }
  }

  uint32_t read_big_endian() {
    uint8_t bytes[4];
    read(bytes, 4);
    return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
  }

  // Whether nothing follows; a gzipped file's checksum is compared here.
  bool at_end() {
    uint8_t byte = 0;
    const int got = gzread(file_, &byte, 1);
    int code = Z_OK;
    gzerror(file_, &code);
    if (got < 0 || code != Z_OK) cut_short();
    return got == 0;
  }

  const fs::path& path() const { return path_; }

 private:
  [[noreturn]] void cut_short() {
    int code = 0;
    const char* message = gzerror(file_, &code);
    throw FormatError(fmt::format("{} ends early: there is nothing at byte {} of its content{}{}",
                                  path_.string(), position_, code == Z_OK ? "" : ": ",
                                  code == Z_OK ? "" : message));
  }

  fs::path path_;
  gzFile file_;
  int64_t position_ = 0;
};

struct Idx {
  std::vector<int64_t> sizes;
  std::vector<uint8_t> values;
};

Idx read_idx(const fs::path& path, uint32_t magic) {
  GzFile file(path);
  const uint32_t found = file.read_big_endian();
  if (found != magic) {
    throw FormatError(fmt::format("{} starts with {:#06x}, an IDX file of {} with {:#06x}",
                                  path.string(), found, magic == kImagesMagic ? "images" : "labels",
                                  magic));
  }
  Idx idx;
  int64_t count = 1;
  for (uint32_t axis = 0; axis < (magic & 0xFF); ++axis) {
    idx.sizes.push_back(file.read_big_endian());
    if (idx.sizes.back() < 1 || count > kLimitBytes / idx.sizes.back()) {
      throw FormatError(fmt::format("{} has an axis of {} at byte {}", path.string(),
                                    idx.sizes.back(), 4 + 4 * axis));
    }
    count *= idx.sizes.back();
  }
  // Grows as data arrives, so that a lie in the header costs no memory.
  constexpr int64_t kPiece = 1 << 24;
  while (static_cast<int64_t>(idx.values.size()) < count) {
    const auto start = static_cast<int64_t>(idx.values.size());
    const int64_t piece = std::min(kPiece, count - start);
    idx.values.resize(static_cast<size_t>(start + piece));
    file.read(idx.values.data() + start, piece);
  }
  if (!file.at_end()) {
    throw FormatError(fmt::format("{} goes on after its {} values", path.string(), count));
  }
  return idx;
}

fs::path find_file(const fs::path& folder, const std::string& name) {
  for (const fs::path& candidate : {folder / name, folder / (name + ".gz")}) {
    if (fs::exists(candidate)) return candidate;
  }
  throw IoError(fmt::format("there is no {0} or {0}.gz in {1}", name, folder.string()));
}

class IdxDataset final : public Dataset {
 public:
  IdxDataset(fs::path images_path, const fs::path& labels_path,
             std::vector<std::string> class_names)
      : path_(std::move(images_path)), class_names_(std::move(class_names)) {
    images_ = read_idx(path_, kImagesMagic);
    labels_ = read_idx(labels_path, kLabelsMagic);
    if (images_.sizes[0] != labels_.sizes[0]) {
      throw FormatError(fmt::format("{} has {} images, {} has {} labels", path_.string(),
                                    images_.sizes[0], labels_path.string(), labels_.sizes[0]));
    }
    const int64_t largest = *std::ranges::max_element(labels_.values);
    if (class_names_.empty()) {
      for (int64_t k = 0; k <= std::max<int64_t>(largest, 9); ++k) {
        class_names_.push_back(std::to_string(k));
      }
    }
    if (largest >= static_cast<int64_t>(class_names_.size())) {
      throw FormatError(fmt::format("{} has a label {}, there are {} classes", labels_path.string(),
                                    largest, class_names_.size()));
    }
  }

  int64_t size() const override { return images_.sizes[0]; }

  Sample sample(int64_t index) const override {
    const PendingImage image = pending(index).image;
    return {.image = image.decode({.width = image.size().width, .height = image.size().height}),
            .label = label(index)};
  }

  PendingSample pending(int64_t index) const override {
    const int64_t height = images_.sizes[1];
    const int64_t width = images_.sizes[2];
    const ImageView view{.pixels = images_.values.data() + index * height * width,
                         .width = width,
                         .height = height,
                         .channels = 1};
    return {.image = view, .label = label(index)};
  }

  int64_t label(int64_t index) const override {
    return labels_.values.at(static_cast<size_t>(index));
  }
  std::string origin(int64_t index) const override {
    return fmt::format("{} number {}", path_.string(), index);
  }
  const std::vector<std::string>& class_names() const override { return class_names_; }

 private:
  fs::path path_;
  Idx images_;
  Idx labels_;
  std::vector<std::string> class_names_;
};

}  // namespace

std::unique_ptr<Dataset> open_idx(const fs::path& folder, Split split,
                                  std::vector<std::string> class_names) {
  const std::string prefix = split == Split::kTrain ? "train" : "t10k";
  const fs::path images = find_file(folder, prefix + "-images-idx3-ubyte");
  const fs::path labels = find_file(folder, prefix + "-labels-idx1-ubyte");
  return std::make_unique<IdxDataset>(images, labels, std::move(class_names));
}

}  // namespace striate
