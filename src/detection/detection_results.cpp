// Detections in COCO's format, https://cocodataset.org/#format-results.

#include "striate/detection/detection_results.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>
#include <unordered_map>

#include "detection/coco_json.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/base/json.h"

namespace striate {
namespace {

constexpr const char* kHint =
    "take the data set, and the part of it, that the detections were made for";

Json item_of(const Detection& detection, int64_t image_id, int64_t category_id) {
  const Box& box = detection.box;
  Json item = {{"image_id", image_id},
               {"category_id", category_id},
               {"bbox", {box.x1, box.y1, box.width(), box.height()}},
               {"score", detection.score}};
  if (detection.mask) {
    item["segmentation"] = {{"size", {detection.mask->height, detection.mask->width}},
                            {"counts", mask_to_string(*detection.mask)}};
  }
  return item;
}

template <class Key>
std::unordered_map<int64_t, size_t> places(size_t count, const Key& key) {
  std::unordered_map<int64_t, size_t> found;
  for (size_t i = 0; i < count; ++i) found[key(i)] = i;
  return found;
}

Detection detection_of(const CocoItem& item, const CocoPlace& place, const ImageSize& image) {
  Detection detection;
  if (!item.score || !std::isfinite(*item.score)) {
    throw FormatError(fmt::format("{}.score is missing or no number", place.text()));
  }
  detection.score = *item.score;
  if (item.segmentation.present()) {
    try {
      detection.mask = item.segmentation.mask(image);
    } catch (const std::exception& error) {
      throw FormatError(fmt::format("{} has no mask: {}", place.text(), error.what()));
    }
  }
  const bool only_mask = item.box.empty() && detection.mask;
  detection.box = only_mask ? mask_box(*detection.mask) : corners(item, place);
  return detection;
}

}  // namespace

void write_detections(const std::filesystem::path& path, const std::vector<AnnotatedImage>& images,
                      const std::vector<std::vector<Detection>>& detections,
                      const std::vector<int64_t>& category_ids) {
  if (detections.size() != images.size()) {
    throw std::invalid_argument(
        fmt::format("{} lists of detections for {} images", detections.size(), images.size()));
  }
  write_file_atomically(path, [&](const Append& append) {
    std::string text = "[";
    for (size_t i = 0; i < images.size(); ++i) {
      for (const Detection& detection : detections[i]) {
        text += text == "[" ? "\n" : ",\n";
        text += item_of(detection, images[i].id, category_ids.at(detection.label)).dump();
        append({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
        text.clear();
      }
    }
    text += "\n]\n";
    append({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  });
}

std::vector<std::vector<Detection>> read_detections(const std::filesystem::path& path,
                                                    const std::vector<AnnotatedImage>& images,
                                                    const std::vector<int64_t>& category_ids) {
  const auto labels =
      places(category_ids.size(), [&](size_t label) { return category_ids[label]; });
  const auto by_id = places(images.size(), [&](size_t i) { return images[i].id; });
  std::vector<std::vector<Detection>> detections(images.size());
  read_coco_items(path, [&](const CocoPlace& place, const CocoItem& item) {
    if (!place.section.empty()) {
      throw FormatError(
          path.string() + " is no list of detections",
          R"(write [{"image_id": 42, "category_id": 18, "bbox": [258, 41, 348, 243], "score": 0.9}, ...])");
    }
    const auto image = by_id.find(needed(item.image_id, "image_id", place));
    if (image == by_id.end()) {
      throw FormatError(fmt::format("{} is of image {}, which is not in the data set", place.text(),
                                    *item.image_id),
                        kHint);
    }
    const auto label = labels.find(needed(item.category_id, "category_id", place));
    if (label == labels.end()) {
      throw FormatError(fmt::format("{} is of category {}, which is not in the data set",
                                    place.text(), *item.category_id),
                        kHint);
    }
    const AnnotatedImage& of = images[image->second];
    Detection detection = detection_of(item, place, {of.width, of.height});
    detection.label = static_cast<int64_t>(label->second);
    detections[image->second].push_back(std::move(detection));
  });
  return detections;
}

}  // namespace striate
