// CIFAR-10, binary version: records of one label byte and 3,072 pixel bytes, red plane first.
#include <fmt/format.h>

#include "data/kinds.h"
#include "striate/base/error.h"
#include "striate/base/file.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kSide = 32;
constexpr int64_t kPlane = kSide * kSide;
constexpr int64_t kRecord = 1 + 3 * kPlane;

const std::vector<std::string> kClassNames = {"airplane", "automobile", "bird",  "cat",  "deer",
                                              "dog",      "frog",       "horse", "ship", "truck"};

class Cifar10 final : public Dataset {
 public:
  explicit Cifar10(const std::vector<fs::path>& files) {
    for (const fs::path& path : files) append(path);
  }

  int64_t size() const override { return static_cast<int64_t>(labels_.size()); }

  Sample sample(int64_t index) const override {
    return {.image = pending(index).image.decode({.width = kSide, .height = kSide}),
            .label = label(index)};
  }

  PendingSample pending(int64_t index) const override {
    const int64_t class_number = label(index);
    const ImageView view{.pixels = pixels_.data() + index * 3 * kPlane,
                         .width = kSide,
                         .height = kSide,
                         .channels = 3};
    return {.image = view, .label = class_number};
  }

  int64_t label(int64_t index) const override { return labels_.at(static_cast<size_t>(index)); }

  std::string origin(int64_t index) const override {
    const File* file = &files_.front();
    for (const File& candidate : files_) {
      if (candidate.first_record <= index) file = &candidate;
    }
    return fmt::format("{} record {}", file->path.string(), index - file->first_record);
  }

  const std::vector<std::string>& class_names() const override { return kClassNames; }

 private:
  struct File {
    fs::path path;
    int64_t first_record;
  };

  void append(const fs::path& path) {
    const std::vector<uint8_t> bytes = read_file(path);
    if (bytes.empty() || bytes.size() % kRecord != 0) {
      throw FormatError(fmt::format("{} has {} bytes, not a multiple of a record's {}",
                                    path.string(), bytes.size(), kRecord),
                        "striate reads the binary version of CIFAR-10 (unpack .xz or .gz first)");
    }
    for (size_t i = 0; i < bytes.size(); i += kRecord) {
      if (bytes[i] < kClassNames.size()) continue;
      throw FormatError(fmt::format("{} has a label {} at byte {}, there are {} classes",
                                    path.string(), bytes[i], i, kClassNames.size()));
    }
    files_.push_back({path, size()});
    pixels_.reserve(pixels_.size() + bytes.size());
    for (size_t i = 0; i < bytes.size(); i += kRecord) append_record(bytes.data() + i);
  }

  // Colours become neighbours, as in all images here.
  void append_record(const uint8_t* record) {
    labels_.push_back(record[0]);
    const uint8_t* red = record + 1;
    for (int64_t i = 0; i < kPlane; ++i) {
      for (int64_t channel = 0; channel < 3; ++channel)
        pixels_.push_back(red[channel * kPlane + i]);
    }
  }

  std::vector<uint8_t> pixels_;  // (size, 32, 32, 3)
  std::vector<uint8_t> labels_;
  std::vector<File> files_;
};

}  // namespace

std::unique_ptr<Dataset> open_cifar10(const fs::path& path, Split split) {
  if (!fs::is_directory(path)) return std::make_unique<Cifar10>(std::vector<fs::path>{path});
  const fs::path inner = path / "cifar-10-batches-bin";
  const fs::path folder = fs::is_directory(inner) ? inner : path;
  std::vector<fs::path> files;
  if (split == Split::kTest) {
    files = {folder / "test_batch.bin"};
  } else {
    for (int i = 1; i <= 5; ++i) files.push_back(folder / fmt::format("data_batch_{}.bin", i));
  }
  return std::make_unique<Cifar10>(files);
}

}  // namespace striate
