#include "cli/data_detection.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cli/detection_measures.h"
#include "striate/base/text.h"
#include "striate/detection/detection_data.h"

namespace striate::cli {

namespace {

Json part_report(const std::vector<AnnotatedImage>& images,
                 const std::vector<std::string>& class_names) {
  std::vector<int64_t> counts(class_names.size());
  int64_t ignored = 0;
  int64_t masks = 0;
  for (const AnnotatedImage& image : images) {
    for (const Instance& instance : image.instances) {
      ++counts[static_cast<size_t>(instance.label)];
      if (instance.ignored) ++ignored;
      if (instance.mask.has_value()) ++masks;
    }
  }
  Json classes = Json::object();
  for (size_t k = 0; k < counts.size(); ++k) classes[class_names[k]] = counts[k];
  const auto range = [&](int64_t AnnotatedImage::*side) -> Json {
    if (images.empty()) return {0, 0};
    const auto [low, high] = std::ranges::minmax(images, {}, side);
    return {low.*side, high.*side};
  };
  return {{"images", images.size()},
          {"width", range(&AnnotatedImage::width)},
          {"height", range(&AnnotatedImage::height)},
          {"ignored", ignored},
          {"masks", masks},
          {"classes", classes}};
}

}  // namespace

Json detection_data_report(const std::string& spelling, bool lenient) {
  const DetectionData data = read_detection_data(spelling, {.lenient = lenient});
  Json report = {{"data", spelling}, {"dropped_objects", data.dropped}};
  for (size_t split = 0; split < kDetectionSplitNames.size(); ++split) {
    report["splits"][kDetectionSplitNames[split]] =
        part_report(data.splits[split], data.class_names);
  }
  return report;
}

std::string describe_range(const Json& two) {
  return two[0] == two[1] ? two[0].dump() : fmt::format("{}-{}", two[0].dump(), two[1].dump());
}

std::string describe_detection_data(const Json& report) {
  std::string text = report["data"].get<std::string>() + describe_dropped(report) + "\n";
  std::vector<std::vector<std::string>> rows = {{"class"}};
  for (const auto& [name, part] : report["splits"].items()) {
    rows[0].push_back(name);
    text +=
        fmt::format("{:<10} {} images, {} wide, {} high; {} masks, ignored objects: {}\n", name,
                    with_thousands(part["images"].get<int64_t>()), describe_range(part["width"]),
                    describe_range(part["height"]), with_thousands(part["masks"].get<int64_t>()),
                    with_thousands(part["ignored"].get<int64_t>()));
    size_t row = 1;
    for (const auto& [label, count] : part["classes"].items()) {
      if (row == rows.size()) rows.push_back({label});
      rows[row++].push_back(with_thousands(count.get<int64_t>()));
    }
  }
  return text + aligned_table(rows, "lr");
}

}  // namespace striate::cli
