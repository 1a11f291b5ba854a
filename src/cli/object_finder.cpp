#include "cli/object_finder.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "cli/command.h"
#include "cli/progress.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/base/text.h"
#include "striate/detection/average_precision.h"
#include "striate/detection/draw_detections.h"
#include "striate/detection/mask.h"
#include "striate/image/codec.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

constexpr double kShownScore = 0.5;  // of predictions, where none is asked for

DetectionSplit split_of(const std::string& part) {
  if (part == "train") return DetectionSplit::kTrain;
  return part == "validation" ? DetectionSplit::kValidation : DetectionSplit::kTest;
}

Json scores_to_json(const CocoScores& scores) {
  Json json = Json::object();
  for (const auto& [name, value] : named_scores(scores)) json[name] = value;
  return json;
}

// The twelve numbers, and those of each class.
Json evaluation_of(const std::vector<AnnotatedImage>& images,
                   const std::vector<std::vector<Detection>>& found,
                   const std::vector<std::string>& class_names, OverlapOf overlap) {
  const CocoEvaluation evaluation =
      evaluate_coco(images, found, {.class_count = std::ssize(class_names), .overlap = overlap});
  Json json = scores_to_json(evaluation.all);
  for (size_t i = 0; i < class_names.size(); ++i) {
    json["classes"][class_names[i]] = scores_to_json(evaluation.classes[i]);
  }
  return json;
}

Json evaluate_finder(const ObjectFinder& finder, const std::vector<AnnotatedImage>& images) {
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<std::vector<Detection>> found =
      finder.find(images, counting_progress("images looked at", std::ssize(images)));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  Json report = {{"images", images.size()},
                 {"seconds_per_image", seconds / static_cast<double>(images.size())},
                 {"boxes", evaluation_of(images, found, finder.class_names(), OverlapOf::kBoxes)}};
  if (finder.finds_masks()) {
    report["masks"] = evaluation_of(images, found, finder.class_names(), OverlapOf::kMasks);
  }
  return report;
}

std::string describe_scores(const Json& scores) {
  return fmt::format("AP {:.3f}, AP50 {:.3f}, AP75 {:.3f}, AR100 {:.3f}",
                     scores["ap"].get<double>(), scores["ap50"].get<double>(),
                     scores["ap75"].get<double>(), scores["ar100"].get<double>());
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

std::vector<std::string> classes_to_find(const std::string& data) {
  const DetectionData all = read_detection_data(data, {.without_masks = true});
  for (const DetectionSplit split : {DetectionSplit::kTrain, DetectionSplit::kTest}) {
    if (images_of(all, split).empty()) {
      throw Error(fmt::format("{} has no images for its {} part", data,
                              kDetectionSplitNames[static_cast<size_t>(split)]),
                  "a run learns from one part and is tested on another");
    }
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
  const DetectionData data =
      read_detection_data(config.data, {.without_masks = !finder->finds_masks()});
  return evaluate_finder(*finder, images_of(data, DetectionSplit::kTest));
}

std::string ObjectFinderKind::describe_test(const Json& test) const {
  std::string text = fmt::format("boxes {} ({} images)", describe_scores(test["boxes"]),
                                 with_thousands(test["images"].get<int64_t>()));
  if (test.contains("masks")) text += "; masks " + describe_scores(test["masks"]);
  return text;
}

void ObjectFinderKind::add_to_report(const RunConfig& config, const Json& test,
                                     RunReport& report) const {
  report.facts.push_back({"Backbone", config.recipe.task["backbone"].get<std::string>()});
  report.facts.push_back(
      {"Time for an image", fmt::format("{:.3f} s", test["seconds_per_image"].get<double>())});
  for (const auto& [name, scores] : test["boxes"]["classes"].items()) {
    report.facts.push_back({"Test, " + name, describe_scores(scores)});
  }
}

Json ObjectFinderKind::evaluate(const EvaluationRequest& request) const {
  const fs::path file = weight_file(request.weights);
  const std::unique_ptr<ObjectFinder> finder = load(read_weights(file), file.string());
  const DetectionData data =
      read_detection_data(request.data, {.without_masks = !finder->finds_masks()});
  if (data.class_names != finder->class_names()) {
    throw Error(fmt::format("{} has other classes than {}", request.data, request.weights),
                "evaluate on data with the classes that it was trained on");
  }
  std::vector<AnnotatedImage> images = images_of(data, split_of(request.part));
  if (finder->finds_masks()) need_masks(images);
  if (images.empty()) {
    throw Error(fmt::format("{} has no images for its {} part", request.data, request.part));
  }
  if (request.limit > 0 && request.limit < std::ssize(images)) {
    images.resize(static_cast<size_t>(request.limit));
  }
  Json report = {{"data", request.data},
                 {"part", request.part},
                 {"weights", request.weights},
                 {"model", finder->name()}};
  report.update(evaluate_finder(*finder, images));
  return report;
}

std::string ObjectFinderKind::describe_evaluation(const Json& e) const {
  std::string text =
      fmt::format("{} on {}, {} part: {}\n", e["model"].get<std::string>(),
                  e["data"].get<std::string>(), e["part"].get<std::string>(), describe_test(e));
  for (const auto& [name, scores] : e["boxes"]["classes"].items()) {
    text += fmt::format("  {}: {}\n", name, describe_scores(scores));
  }
  return text + fmt::format("{:.3f} s for an image\n", e["seconds_per_image"].get<double>());
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
