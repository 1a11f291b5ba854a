#include "cli/score_detections.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/text.h"
#include "striate/detection/average_precision.h"
#include "striate/detection/detection_results.h"

namespace striate::cli {

namespace {

// "-" is a number that no object counts for.
std::string cell(const Json& number) {
  const double value = number.get<double>();
  return value < 0 ? "-" : fmt::format("{:.4f}", value);
}

template <class Lists>
bool all_have_masks(const Lists& lists) {
  return std::ranges::all_of(lists, [](const auto& list) {
    return std::ranges::all_of(list, [](const auto& one) { return one.mask.has_value(); });
  });
}

void need_masks(const DetectionFiles& files, const std::vector<AnnotatedImage>& images,
                const std::vector<std::vector<Detection>>& detections) {
  const auto need = [](bool there, const std::string& file) {
    if (there) return;
    throw FormatError(fmt::format("{} has an object without a mask", file),
                      "write its segmentation, or compare boxes: --metric boxes");
  };
  need(all_have_masks(detections), files.results);
  need(all_have_masks(std::views::transform(images, &AnnotatedImage::instances)), files.instances);
}

}  // namespace

Json score_detections(const DetectionFiles& files) {
  const DetectionData data = read_coco_file(
      files.instances,
      {.lenient = files.lenient, .without_masks = !files.masks, .without_images = true});
  const auto& images = data.splits[0];
  const auto detections = read_detections(files.results, images, data.category_ids);
  if (files.masks) need_masks(files, images, detections);
  const int64_t class_count = std::ssize(data.class_names);
  const CocoEvaluation coco = evaluate_coco(
      images, detections,
      {.class_count = class_count, .overlap = files.masks ? OverlapOf::kMasks : OverlapOf::kBoxes});
  int64_t count = 0;
  for (const auto& found : detections) count += std::ssize(found);
  Json report = {{"metric", files.masks ? "masks" : "boxes"},
                 {"images", images.size()},
                 {"detections", count},
                 {"dropped_objects", data.dropped}};
  for (const auto& [name, value] : named_scores(coco.all)) report[name] = value;
  if (!files.masks) {
    for (const auto& [name, rule] : {std::pair("voc_ap50", VocRule::kArea),
                                     std::pair("voc2007_ap50", VocRule::kElevenPoints)}) {
      report[name] = evaluate_voc(images, detections, {.class_count = class_count, .rule = rule})
                         .mean_average_precision;
    }
  }
  report["classes"] = Json::array();
  for (int64_t label = 0; label < class_count; ++label) {
    Json one = {{"name", data.class_names[label]}};
    for (const auto& [name, value] : named_scores(coco.classes[label])) one[name] = value;
    report["classes"].push_back(std::move(one));
  }
  return report;
}

std::string describe_detections(const Json& report) {
  std::vector<std::vector<std::string>> numbers;
  for (const auto& [name, value] : report.items()) {
    if (value.is_number_float()) numbers.push_back({name, cell(value)});
  }
  std::vector<std::vector<std::string>> classes = {{"class", "ap", "ap50", "ap75", "ar100"}};
  for (const Json& one : report["classes"]) {
    if (one["ar100"].get<double>() < 0) continue;
    classes.push_back({one["name"].get<std::string>(), cell(one["ap"]), cell(one["ap50"]),
                       cell(one["ap75"]), cell(one["ar100"])});
  }
  return fmt::format("{} images, {} detections, by their {}\n{}\n{}",
                     with_thousands(report["images"].get<int64_t>()),
                     with_thousands(report["detections"].get<int64_t>()),
                     report["metric"].get<std::string>(), aligned_table(numbers, "lr"),
                     aligned_table(classes, "lr"));
}

}  // namespace striate::cli
