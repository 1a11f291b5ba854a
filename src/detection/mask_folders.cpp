// Images with a mask file for each object, as the 2018 Data Science Bowl laid its nuclei out:
// NAME/images/*.png and NAME/masks/*.png.

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>

#include "detection/detection_readers.h"
#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/image/codec.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

constexpr const char* kLayout =
    "masks:DIR reads DIR/NAME/images/*.png and DIR/NAME/masks/*.png, or the same in "
    "DIR/stage1_train";

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  if (!fs::is_directory(folder)) return entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    entries.push_back(entry.path());
  }
  std::ranges::sort(entries);
  return entries;
}

std::vector<fs::path> pictures(const fs::path& folder) {
  std::vector<fs::path> files = sorted_entries(folder);
  std::erase_if(files, [](const fs::path& file) { return file.extension() != ".png"; });
  return files;
}

// In the order of their names' hashes: the same folders are always split alike.
std::array<std::vector<fs::path>, 3> split_folders(std::vector<fs::path> folders) {
  std::ranges::sort(folders, {}, [](const fs::path& folder) {
    return std::pair(hash_name(folder.filename().c_str()), folder);
  });
  const auto test = static_cast<ptrdiff_t>(folders.size() / 5);
  const auto validation = static_cast<ptrdiff_t>(folders.size() / 10);
  const auto begin = folders.begin();
  std::array<std::vector<fs::path>, 3> splits = {
      std::vector(begin + test + validation, folders.end()),
      std::vector(begin + test, begin + test + validation), std::vector(begin, begin + test)};
  for (auto& split : splits) std::ranges::sort(split);
  return splits;
}

std::vector<RunLengthMask> read_masks(const std::vector<fs::path>& files) {
  std::vector<RunLengthMask> masks(files.size());
  at::parallel_for(0, std::ssize(files), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      masks[i] = encode_mask(read_image(files[i], PixelFormat::kGrey));
    }
  });
  return masks;
}

AnnotatedImage read_folder(const fs::path& folder, const DetectionDataOptions& options,
                           DetectionData& data) {
  const std::vector<fs::path> images = pictures(folder / "images");
  if (images.size() != 1) {
    throw FormatError(
        fmt::format("{} holds {} PNG images, not one", (folder / "images").string(), images.size()),
        kLayout);
  }
  const ImageSize size = read_image_size(images[0]);
  AnnotatedImage image{.path = images[0], .width = size.width, .height = size.height};
  const std::vector<fs::path> files = pictures(folder / "masks");
  std::vector<RunLengthMask> masks = read_masks(files);
  for (size_t i = 0; i < masks.size(); ++i) {
    if (masks[i].width != size.width || masks[i].height != size.height) {
      throw FormatError(fmt::format("{} is {}x{} pixels large, and its image {}x{}",
                                    files[i].string(), masks[i].width, masks[i].height, size.width,
                                    size.height));
    }
    Instance instance{.box = mask_box(masks[i]), .area = static_cast<double>(mask_area(masks[i]))};
    const std::string problem = box_problem(instance.box, size);
    if (!problem.empty()) {
      drop_object(files[i].string(), problem, options, data);
      continue;
    }
    if (!options.without_masks) instance.mask = std::move(masks[i]);
    image.instances.push_back(std::move(instance));
  }
  return image;
}

}  // namespace

DetectionData read_mask_folders(const fs::path& folder, const DetectionDataOptions& options) {
  const fs::path inner = folder / "stage1_train";
  std::vector<fs::path> folders = sorted_entries(fs::is_directory(inner) ? inner : folder);
  std::erase_if(folders, [](const fs::path& path) { return !fs::is_directory(path / "images"); });
  if (folders.empty()) {
    throw FormatError(fmt::format("{} holds no images with masks", folder.string()), kLayout);
  }
  DetectionData data{.class_names = {"object"}, .category_ids = {1}};
  const auto splits = split_folders(std::move(folders));
  int64_t count = 0;
  for (size_t split = 0; split < splits.size(); ++split) {
    for (const fs::path& path : splits[split]) {
      AnnotatedImage image = read_folder(path, options, data);
      image.id = ++count;
      data.splits[split].push_back(std::move(image));
    }
  }
  return data;
}

}  // namespace striate
