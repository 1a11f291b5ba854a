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

// The images of a file of instances, or of a part of a data set.
std::vector<AnnotatedImage> take_images(DetectionData& data, const DetectionFiles& files) {
  const DetectionSplit split =
      is_detection_data(files.instances) ? detection_split(files.part) : DetectionSplit::kTrain;
  std::vector<AnnotatedImage> images = std::move(data.splits[static_cast<size_t>(split)]);
  if (images.empty()) {
    throw Error(fmt::format("{} has no images for its {} part", files.instances, files.part),
                "name another one with --split");
  }
  return images;
}

}  // namespace

Json score_detections(const DetectionFiles& files) {
  const DetectionDataOptions reading{
      .lenient = files.request.lenient, .without_masks = !files.masks, .without_images = true};
  DetectionData data = is_detection_data(files.instances)
                           ? read_detection_data(files.instances, reading)
                           : read_coco_file(files.instances, reading);
  const std::vector<AnnotatedImage> images = take_images(data, files);
  const auto detections = read_detections(files.results, images, data.category_ids);
  if (files.masks) need_masks(files, images, detections);
  int64_t count = 0;
  for (const auto& found : detections) count += std::ssize(found);
  Json report = {{"metric", files.masks ? "masks" : "boxes"},
                 {"images", images.size()},
                 {"detections", count},
                 {"dropped_objects", data.dropped}};
  report.update(measure_detections(images, detections, data.class_names,
                                   {.overlap = files.masks ? OverlapOf::kMasks : OverlapOf::kBoxes,
                                    .errors = files.request.errors,
                                    .curves = !files.request.plot.empty()}));
  if (!files.masks) {
    for (const auto& [name, rule] : {std::pair("voc_ap50", VocRule::kArea),
                                     std::pair("voc2007_ap50", VocRule::kElevenPoints)}) {
      report[name] = evaluate_voc(images, detections,
                                  {.class_count = std::ssize(data.class_names), .rule = rule})
                         .mean_average_precision;
    }
  }
  if (!files.request.plot.empty()) {
    write_precision_recall(report, report["metric"].get<std::string>(), files.request.plot);
    report["plot"] = files.request.plot;
  }
  return report;
}

std::string describe_detections(const Json& report) {
  std::vector<std::vector<std::string>> numbers;
  for (const auto& [name, value] : report.items()) {
    if (value.is_number_float()) numbers.push_back({name, describe_score(value)});
  }
  std::string text = fmt::format("{} images, {} detections, by their {}{}\n{}\n{}",
                                 with_thousands(report["images"].get<int64_t>()),
                                 with_thousands(report["detections"].get<int64_t>()),
                                 report["metric"].get<std::string>(), describe_dropped(report),
                                 aligned_table(numbers, "lr"),
                                 describe_measured(report, report["metric"].get<std::string>()));
  if (report.contains("plot"))
    text += fmt::format("\nplot {}\n", report["plot"].get<std::string>());
  return text;
}

}  // namespace striate::cli
