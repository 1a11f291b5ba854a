#include "cli/object_finder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>
#include <ranges>
#include <set>

#include "cli/command.h"
#include "cli/detection_measures.h"
#include "cli/progress.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/base/text.h"
#include "striate/detection/detection_results.h"
#include "striate/detection/draw_detections.h"
#include "striate/detection/mask.h"
#include "striate/image/codec.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

constexpr double kShownScore = 0.5;  // of predictions, where none is asked for
constexpr std::array<const char*, 2> kFound = {"boxes", "masks"};

// How a finder is measured, and how much of it is told.
struct Measuring {
  const std::vector<AnnotatedImage>& images;
  const std::vector<std::string>& class_names;  // of the data
  std::vector<int64_t> labels;                  // in the data of the finder's classes; -1: none
  int64_t dropped = 0;                          // objects
  bool errors = false;
  bool curves = false;
};

// The data's label of each class that is found. Torchvision's files call them by COCO's numbers.
std::vector<int64_t> labels_in(const DetectionData& data, const std::vector<std::string>& found,
                               const EvaluationRequest& request) {
  std::vector<int64_t> labels(found.size(), -1);
  if (data.class_names == found) {
    std::iota(labels.begin(), labels.end(), int64_t{0});
    return labels;
  }
  const auto by_number = [&](size_t label) {
    const auto name = std::ranges::find(found, std::to_string(data.category_ids[label]));
    if (name == found.end()) return false;
    labels[static_cast<size_t>(name - found.begin())] = static_cast<int64_t>(label);
    return true;
  };
  const auto all = std::views::iota(size_t{0}, data.class_names.size());
  if (request.data.starts_with("coco:") && std::ranges::all_of(all, by_number)) {
    note(fmt::format("{} calls its classes by numbers: they are taken for the category ids of {}",
                     request.weights, request.data));
    return labels;
  }
  throw Error(fmt::format("{} has other classes than {}", request.data, request.weights),
              "evaluate on data with the classes that it was trained on");
}

// Detections with the labels of the data; those of classes that it does not have are left out.
std::vector<std::vector<Detection>> find_for(const ObjectFinder& finder,
                                             const Measuring& measuring) {
  std::vector<std::vector<Detection>> lists = finder.find(
      measuring.images, counting_progress("images looked at", std::ssize(measuring.images)));
  for (std::vector<Detection>& found : lists) {
    for (Detection& detection : found) {
      detection.label = measuring.labels.at(static_cast<size_t>(detection.label));
    }
    std::erase_if(found, [](const Detection& detection) { return detection.label < 0; });
  }
  return lists;
}

struct Evaluated {
  std::vector<std::vector<Detection>> detections;  // of each image
  Json report;
};

Evaluated evaluate_finder(const ObjectFinder& finder, const Measuring& measuring) {
  const auto begin = std::chrono::steady_clock::now();
  Evaluated evaluated{.detections = find_for(finder, measuring)};
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const auto measure = [&](OverlapOf overlap) {
    return measure_detections(
        measuring.images, evaluated.detections, measuring.class_names,
        {.overlap = overlap, .errors = measuring.errors, .curves = measuring.curves});
  };
  evaluated.report = {{"images", measuring.images.size()},
                      {"dropped_objects", measuring.dropped},
                      {"seconds_per_image", seconds / static_cast<double>(measuring.images.size())},
                      {"boxes", measure(OverlapOf::kBoxes)}};
  if (finder.finds_masks()) evaluated.report["masks"] = measure(OverlapOf::kMasks);
  return evaluated;
}

std::string describe_scores(const Json& scores) {
  return fmt::format("AP {}, AP50 {}, AP75 {}, AR100 {}", describe_score(scores["ap"]),
                     describe_score(scores["ap50"]), describe_score(scores["ap75"]),
                     describe_score(scores["ar100"]));
}

Json to_json(const Detection& detection, const std::vector<std::string>& class_names) {
  const Box& box = detection.box;
  Json json = {{"class", class_names.at(static_cast<size_t>(detection.label))},
               {"score", detection.score},
               {"box", {box.x1, box.y1, box.x2, box.y2}}};
  if (detection.mask.has_value()) {
    json["mask"] = {{"size", {detection.mask->height, detection.mask->width}},
                    {"counts", mask_to_string(*detection.mask)}};
  }
  return json;
}

fs::path picture_of(const fs::path& folder, const fs::path& image) {
  return folder / fmt::format("found-{}.png", image.stem().string());
}

void check_pictures(const PredictionRequest& request) {
  if (!request.out.has_value()) return;
  std::set<fs::path> pictures;
  for (const std::string& path : request.images) {
    if (pictures.insert(picture_of(*request.out, path)).second) continue;
    throw UsageError(fmt::format("two images are called {}", fs::path(path).stem().string()),
                     "ask for them one after the other, with another --out");
  }
}

std::string describe(const Json& detection) {
  const auto box = detection["box"].get<std::vector<double>>();
  return fmt::format("  {:.3f} {} ({:.0f}, {:.0f}) to ({:.0f}, {:.0f})\n",
                     detection["score"].get<double>(), detection["class"].get<std::string>(),
                     box[0], box[1], box[2], box[3]);
}

}  // namespace

std::vector<std::string> classes_to_find(const std::string& data, bool lenient) {
  const DetectionData all = read_detection_data(data, {.lenient = lenient, .without_masks = true});
  for (const DetectionSplit split : {DetectionSplit::kTrain, DetectionSplit::kTest}) {
    if (images_of(all, split).empty()) {
      throw Error(fmt::format("{} has no images for its {} part", data,
                              kDetectionSplitNames[static_cast<size_t>(split)]),
                  "a run learns from one part and is tested on another");
    }
  }
  if (all.dropped > 0) {
    note(fmt::format("{}: {} objects with a wrong box are left out", data, all.dropped));
  }
  return all.class_names;
}

void ObjectFinderKind::check_initial(const RunConfig& config, const Weights& weights,
                                     const std::string& origin) const {
  if (load(weights, origin)->class_names() != config.class_names) {
    throw Error(fmt::format("{} knows other classes than {}", origin, config.data),
                "start from weights that were trained on the same classes");
  }
}

Json ObjectFinderKind::test(Task& task, const RunConfig& config) const {
  const std::unique_ptr<ObjectFinder> finder = trained_by(task, config);
  const DetectionData& data = data_of(task);
  std::vector<int64_t> labels(data.class_names.size());
  std::iota(labels.begin(), labels.end(), int64_t{0});
  return evaluate_finder(*finder, {.images = images_of(data, DetectionSplit::kTest),
                                   .class_names = data.class_names,
                                   .labels = labels,
                                   .dropped = data.dropped,
                                   .errors = true,
                                   .curves = true})
      .report;
}

std::string ObjectFinderKind::describe_test(const Json& test) const {
  std::string text =
      fmt::format("boxes {} ({} images{})", describe_scores(test["boxes"]),
                  with_thousands(test["images"].get<int64_t>()), describe_dropped(test));
  if (test.contains("masks")) text += "; masks " + describe_scores(test["masks"]);
  return text;
}

void ObjectFinderKind::add_to_report(const RunConfig& config, const Json& test,
                                     RunReport& report) const {
  report.measure = "average precision";
  report.facts.push_back({"Backbone", config.recipe.task["backbone"].get<std::string>()});
  report.facts.push_back(
      {"Time for an image", fmt::format("{:.3f} s", test["seconds_per_image"].get<double>())});
  for (const char* what : kFound) {
    if (!test.contains(what)) continue;
    const Json& measured = test[what];
    report.plots.push_back(precision_recall_plot(measured, what));
    report.tables.push_back(class_table(measured, what));
    report.tables.push_back(error_table(measured, what));
  }
}

Json ObjectFinderKind::evaluate(const EvaluationRequest& request) const {
  const fs::path file = weight_file(request.weights);
  const std::unique_ptr<ObjectFinder> finder = load(read_weights(file), file.string());
  const DetectionData data = read_detection_data(
      request.data,
      {.lenient = request.detections.lenient, .without_masks = !finder->finds_masks()});
  const std::vector<int64_t> labels = labels_in(data, finder->class_names(), request);
  std::vector<AnnotatedImage> images = images_of(data, detection_split(request.part));
  if (finder->finds_masks()) need_masks(images);
  if (images.empty()) {
    throw Error(fmt::format("{} has no images for its {} part", request.data, request.part),
                "name another one with --split");
  }
  if (request.limit > 0 && request.limit < std::ssize(images)) {
    images.resize(static_cast<size_t>(request.limit));
  }
  Json report = {{"data", request.data},
                 {"part", request.part},
                 {"weights", request.weights},
                 {"model", finder->name()}};
  const DetectionRequest& asked = request.detections;
  const Evaluated evaluated = evaluate_finder(*finder, {.images = images,
                                                        .class_names = data.class_names,
                                                        .labels = labels,
                                                        .dropped = data.dropped,
                                                        .errors = asked.errors,
                                                        .curves = !asked.plot.empty()});
  report.update(evaluated.report);
  if (!asked.results.empty()) {
    write_detections(asked.results, images, evaluated.detections, data.category_ids);
    report["results"] = asked.results;
  }
  if (!asked.plot.empty()) {
    const char* const what = finder->finds_masks() ? "masks" : "boxes";
    write_precision_recall(report[what], what, asked.plot);
    report["plot"] = asked.plot;
  }
  return report;
}

std::string ObjectFinderKind::describe_evaluation(const Json& e) const {
  std::string text =
      fmt::format("{} on {}, {} part: {}\n", e["model"].get<std::string>(),
                  e["data"].get<std::string>(), e["part"].get<std::string>(), describe_test(e));
  for (const char* what : kFound) {
    if (e.contains(what)) text += "\n" + describe_measured(e[what], what);
  }
  text += fmt::format("\n{:.3f} s for an image\n", e["seconds_per_image"].get<double>());
  for (const char* file : {"results", "plot"}) {
    if (e.contains(file)) text += fmt::format("{} {}\n", file, e[file].get<std::string>());
  }
  return text;
}

void ObjectFinderKind::predict(const PredictionRequest& request) const {
  const fs::path file = weight_file(request.weights);
  const std::unique_ptr<ObjectFinder> finder = load(read_weights(file), file.string());
  Json report = Json::array();
  std::string text;
  check_pictures(request);
  for (const std::string& path : request.images) {
    const Image image = read_image(path);
    std::vector<Detection> found = finder->find(image);
    std::erase_if(found, [&](const Detection& detection) {
      return detection.score < request.score.value_or(kShownScore);
    });
    Json entry = {{"image", path}, {"detections", Json::array()}};
    text += fmt::format("{}: {}\n", path, found.empty() ? "nothing" : std::to_string(found.size()));
    for (const Detection& detection : found) {
      entry["detections"].push_back(to_json(detection, finder->class_names()));
      text += describe(entry["detections"].back());
    }
    if (request.out.has_value()) {
      const fs::path picture = picture_of(*request.out, path);
      write_file_atomically(picture,
                            encode_png(draw_detections(image, found, finder->class_names())));
      entry["picture"] = picture.string();
      text += "  " + picture.string() + "\n";
    }
    report.push_back(std::move(entry));
  }
  request.json ? print(report) : print(text);
}

}  // namespace striate::cli
