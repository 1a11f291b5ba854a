#include "striate/detection/detection_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "detection/detection_readers.h"
#include "striate/base/error.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

using Reader = DetectionData (*)(const fs::path&, const DetectionDataOptions&);

struct Kind {
  std::string prefix;
  Reader read;
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"coco:", read_coco}, {"voc:", read_voc}, {"masks:", read_mask_folders}};
  return all;
}

const Kind* kind_of(const std::string& spelling) {
  for (const Kind& kind : kinds()) {
    if (spelling.starts_with(kind.prefix) && spelling.size() > kind.prefix.size()) return &kind;
  }
  return nullptr;
}

}  // namespace

DetectionSplit detection_split(const std::string& name) {
  const auto found = std::ranges::find(kDetectionSplitNames, name);
  if (found == kDetectionSplitNames.end()) {
    throw LookupError(fmt::format("no part of a data set is called \"{}\"", name),
                      "say train, validation or test");
  }
  return static_cast<DetectionSplit>(found - kDetectionSplitNames.begin());
}

bool is_detection_data(const std::string& spelling) {
  return kind_of(spelling) != nullptr;
}

DetectionData read_detection_data(const std::string& spelling,
                                  const DetectionDataOptions& options) {
  const Kind* kind = kind_of(spelling);
  if (kind == nullptr) {
    throw LookupError(fmt::format("\"{}\" names no images with objects", spelling),
                      "write coco:DIR, voc:DIR or masks:DIR");
  }
  const fs::path folder = spelling.substr(kind->prefix.size());
  if (!fs::is_directory(folder)) throw IoError(fmt::format("{} is no folder", folder.string()));
  DetectionData data = kind->read(folder, options);
  for (const auto& images : data.splits) {
    if (!images.empty()) return data;
  }
  throw FormatError(fmt::format("{} holds no images", spelling));
}

std::string box_problem(const Box& box, const ImageSize& image) {
  for (const double side : {box.x1, box.y1, box.x2, box.y2}) {
    if (!std::isfinite(side)) return "has a box that is not finite";
  }
  const std::string text =
      fmt::format("from ({:g}, {:g}) to ({:g}, {:g})", box.x1, box.y1, box.x2, box.y2);
  if (box.width() < 0 || box.height() < 0) return "has a reversed box, " + text;
  if (box.width() == 0 || box.height() == 0) return "has an empty box, " + text;
  const auto width = static_cast<double>(image.width);
  const auto height = static_cast<double>(image.height);
  if (box.x1 >= -1 && box.y1 >= -1 && box.x2 <= width + 1 && box.y2 <= height + 1) return "";
  return fmt::format("has a box that leaves its image of {}x{} pixels, {}", image.width,
                     image.height, text);
}

void drop_object(const std::string& place, const std::string& problem,
                 const DetectionDataOptions& options, DetectionData& data) {
  if (!options.lenient) {
    throw FormatError(fmt::format("{} {}", place, problem),
                      "correct or remove it; --lenient leaves such objects out");
  }
  ++data.dropped;
}

void need_masks(const std::vector<AnnotatedImage>& images) {
  for (const AnnotatedImage& image : images) {
    for (const Instance& instance : image.instances) {
      if (instance.ignored || instance.mask.has_value()) continue;
      throw FormatError(fmt::format("{} has an object without a mask", image.path.string()),
                        "mark all objects, or train and evaluate a detector without masks");
    }
  }
}

void need_image(const fs::path& path, const DetectionDataOptions& options) {
  if (options.without_images || fs::is_regular_file(path)) return;
  throw IoError(fmt::format("there is no image {}", path.string()),
                "put the image there, or remove its annotations");
}

}  // namespace striate
