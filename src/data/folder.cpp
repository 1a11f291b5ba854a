// Class folders: ROOT/{train,val}/CLASS/*.jpg, the layout of torchvision's ImageFolder.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>

#include "data/kinds.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/image/codec.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (!entry.path().filename().string().starts_with('.')) entries.push_back(entry.path());
  }
  std::ranges::sort(entries);
  return entries;
}

class Folder final : public Dataset {
 public:
  explicit Folder(const fs::path& root) {
    for (const fs::path& folder : sorted_entries(root)) {
      if (fs::is_directory(folder)) add_class(folder);
    }
    if (class_names_.empty()) {
      throw FormatError(fmt::format("{} holds no class folders", root.string()),
                        "the layout is DIR/CLASS/image.jpg, or DIR/train/CLASS and DIR/val/CLASS");
    }
  }

  int64_t size() const override { return static_cast<int64_t>(items_.size()); }

  Sample sample(int64_t index) const override {
    const Item& item = items_.at(static_cast<size_t>(index));
    return {.image = read_image(item.path, PixelFormat::kRgb), .label = item.label};
  }

  PendingSample pending(int64_t index) const override {
    const Item& item = items_.at(static_cast<size_t>(index));
    return {.image = PendingImage(read_file(item.path), item.path.string(), PixelFormat::kRgb),
            .label = item.label};
  }

  int64_t label(int64_t index) const override {
    return items_.at(static_cast<size_t>(index)).label;
  }
  std::string origin(int64_t index) const override {
    return items_.at(static_cast<size_t>(index)).path.string();
  }
  const std::vector<std::string>& class_names() const override { return class_names_; }

 private:
  struct Item {
    fs::path path;
    int64_t label;
  };

  void add_class(const fs::path& folder) {
    const auto label = static_cast<int64_t>(class_names_.size());
    const size_t before = items_.size();
    for (const fs::path& path : sorted_entries(folder)) {
      if (is_image_name(path)) items_.push_back({path, label});
    }
    if (items_.size() == before) {
      throw FormatError(fmt::format("class folder {} holds no JPEG or PNG", folder.string()),
                        "put images into it or remove it");
    }
    class_names_.push_back(folder.filename().string());
  }

  std::vector<std::string> class_names_;
  std::vector<Item> items_;
};

}  // namespace

std::unique_ptr<Dataset> open_folder(const fs::path& folder, Split split) {
  if (!fs::is_directory(folder)) throw IoError(fmt::format("{} is no folder", folder.string()));
  const bool has_splits = fs::is_directory(folder / "train");
  if (!has_splits) return std::make_unique<Folder>(folder);
  auto training = std::make_unique<Folder>(folder / "train");
  if (split == Split::kTrain) return training;
  for (const char* name : {"val", "test", "valid", "validation"}) {
    if (!fs::is_directory(folder / name)) continue;
    auto test = std::make_unique<Folder>(folder / name);
    // A class that only one of them has would shift the labels of those behind it.
    std::vector<std::string> differing;
    std::ranges::set_symmetric_difference(training->class_names(), test->class_names(),
                                          std::back_inserter(differing));
    if (differing.empty()) return test;
    throw FormatError(
        fmt::format("{} and {} hold different classes: \"{}\" is in one of them only",
                    (folder / "train").string(), (folder / name).string(), differing.front()),
        "give both the same class folders");
  }
  throw IoError(fmt::format("{} has train/ but no val/ or test/", folder.string()));
}

}  // namespace striate
