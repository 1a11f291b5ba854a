#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>

#include "cli/bench.h"
#include "cli/command.h"
#include "cli/detection.h"
#include "cli/model_kind.h"
#include "cli/progress.h"
#include "striate/base/file.h"
#include "striate/base/text.h"
#include "striate/detection/detection_task.h"
#include "striate/detection/draw_detections.h"
#include "striate/image/codec.h"
#include "striate/training/optimizer.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

constexpr double kShownScore = 0.5;  // of predictions, where none is asked for
constexpr int64_t kBenchHeight = 800;
constexpr int64_t kBenchWidth = 1333;
constexpr int64_t kBenchObjects = 10;

DetectionTaskOptions options_of(const RunConfig& config) {
  return detection_task_options(config.recipe.task, find_detector(config.model)->options,
                                "recipe.task");
}

TensorShapes shapes_of(const DetectorOptions& options) {
  const Detector detector(options, std::nullopt);
  TensorShapes shapes;
  for (const auto& [key, tensor] : detector.tensors()) {
    if (tensor.requires_grad()) shapes.emplace_back(key, tensor.sizes().vec());
  }
  return shapes;
}

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

Json evaluate_detector(const NamedDetector& detector, const std::vector<AnnotatedImage>& images,
                       int64_t outside_proposals) {
  const auto begin = std::chrono::steady_clock::now();
  SearchedProposals proposals(outside_proposals);
  const std::vector<std::vector<Detection>> found =
      detect_in(*detector.detector, images, proposals,
                counting_progress("images looked at", std::ssize(images)));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  Json report = {{"images", images.size()},
                 {"seconds_per_image", seconds / static_cast<double>(images.size())},
                 {"boxes", evaluation_of(images, found, detector.class_names, OverlapOf::kBoxes)}};
  if (detector.detector->options().masks) {
    report["masks"] = evaluation_of(images, found, detector.class_names, OverlapOf::kMasks);
  }
  return report;
}

std::string describe_scores(const Json& scores) {
  return fmt::format("AP {:.3f}, AP50 {:.3f}, AP75 {:.3f}, AR100 {:.3f}",
                     scores["ap"].get<double>(), scores["ap50"].get<double>(),
                     scores["ap75"].get<double>(), scores["ar100"].get<double>());
}

std::string describe_report(const Json& report) {
  std::string text = fmt::format("boxes {} ({} images)", describe_scores(report["boxes"]),
                                 with_thousands(report["images"].get<int64_t>()));
  if (report.contains("masks")) text += "; masks " + describe_scores(report["masks"]);
  return text;
}

std::vector<Detection> likely(std::vector<Detection> detections, double score) {
  std::erase_if(detections, [&](const Detection& d) { return d.score < score; });
  return detections;
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

class DetectionKind final : public ModelKind {
 public:
  std::string name() const override { return "detector"; }
  std::string hint() const override { return "striate predict, evaluate and look anchors take it"; }

  std::vector<ListedModel> models() const override {
    std::vector<ListedModel> models;
    for (const DetectorEntry& entry : detectors()) {
      models.push_back({.name = entry.name,
                        .form = entry.form,
                        .paper = entry.paper,
                        .recipe = entry.recipe,
                        .size = fmt::format("{} classes", entry.options.classes)});
    }
    return models;
  }

  TensorShapes usual_tensors(const std::string& model, int64_t) const override {
    return shapes_of(find_detector(model)->options);
  }

  bool holds(const Weights& weights) const override { return is_detector(weights); }
  std::string data_spellings() const override { return "coco:DIR, voc:DIR or masks:DIR"; }

  void complete(RunConfig& config) const override {
    const DetectorOptions& usual = find_detector(config.model)->options;
    DetectionTaskOptions options = checked_task(config.recipe, [&](const Json& task, auto where) {
      return detection_task_options(task, usual, where);
    });
    const DetectionData data =
        read_detection_data(config.data, {.without_masks = !options.detector.masks});
    for (const DetectionSplit split : {DetectionSplit::kTrain, DetectionSplit::kTest}) {
      if (images_of(data, split).empty()) {
        throw Error(fmt::format("{} has no images for its {} part", config.data,
                                kDetectionSplitNames[static_cast<size_t>(split)]),
                    "a run learns from one part and is tested on another");
      }
    }
    config.class_names = data.class_names;
    options.detector.classes = std::ssize(data.class_names);
    config.recipe.task = striate::to_json(options);
  }

  TensorShapes tensors(const RunConfig& config) const override {
    return shapes_of(options_of(config).detector);
  }

  void check_initial(const RunConfig& config, const Weights& weights,
                     const std::string& origin) const override {
    if (load_detector(weights, origin).class_names != config.class_names) {
      throw Error(fmt::format("{} knows other classes than {}", origin, config.data),
                  "start from weights that were trained on the same classes");
    }
  }

  std::unique_ptr<Task> make_task(const RunConfig& config,
                                  const TrainerOptions& options) const override {
    return make_detection_task(config, options);
  }

  Json test(Task& task, const RunConfig& config) const override {
    const DetectionTaskOptions options = options_of(config);
    const DetectionData data =
        read_detection_data(config.data, {.without_masks = !options.detector.masks});
    return evaluate_detector(detector_of(task), images_of(data, DetectionSplit::kTest),
                             options.outside_proposals);
  }

  std::string describe_test(const Json& test) const override { return describe_report(test); }

  void add_to_report(const RunConfig& config, const Json& test, RunReport& report) const override {
    const DetectionTaskOptions options = options_of(config);
    report.facts.push_back({"Backbone", options.detector.backbone});
    report.facts.push_back(
        {"Time for an image", fmt::format("{:.3f} s", test["seconds_per_image"].get<double>())});
    for (const auto& [name, scores] : test["boxes"]["classes"].items()) {
      report.facts.push_back({"Test, " + name, describe_scores(scores)});
    }
  }

  Json evaluate(const EvaluationRequest& request) const override {
    const NamedDetector detector = open_detector(request.weights);
    const DetectionData data =
        read_detection_data(request.data, {.without_masks = !detector.detector->options().masks});
    if (data.class_names != detector.class_names) {
      throw Error(fmt::format("{} has other classes than {}", request.data, request.weights),
                  "evaluate on data with the classes that the detector was trained on");
    }
    std::vector<AnnotatedImage> images = images_of(data, split_of(request.part));
    if (images.empty()) {
      throw Error(fmt::format("{} has no images for its {} part", request.data, request.part));
    }
    if (request.limit > 0 && request.limit < std::ssize(images)) {
      images.resize(static_cast<size_t>(request.limit));
    }
    Json report = {{"data", request.data},
                   {"part", request.part},
                   {"weights", request.weights},
                   {"model", detector.name}};
    report.update(evaluate_detector(detector, images, DetectionTaskOptions().outside_proposals));
    return report;
  }

  std::string describe_evaluation(const Json& e) const override {
    std::string text =
        fmt::format("{} on {}, {} part: {}\n", e["model"].get<std::string>(),
                    e["data"].get<std::string>(), e["part"].get<std::string>(), describe_report(e));
    for (const auto& [name, scores] : e["boxes"]["classes"].items()) {
      text += fmt::format("  {}: {}\n", name, describe_scores(scores));
    }
    return text + fmt::format("{:.3f} s for an image\n", e["seconds_per_image"].get<double>());
  }

  void predict(const PredictionRequest& request) const override {
    const NamedDetector detector = open_detector(request.weights);
    Json report = Json::array();
    std::string text;
    for (const std::string& path : request.images) {
      const Image image = read_image(path);
      const std::vector<Detection> found =
          likely(detections_in(*detector.detector, image), request.score.value_or(kShownScore));
      Json entry = {{"image", path}, {"detections", Json::array()}};
      text +=
          fmt::format("{}: {}\n", path, found.empty() ? "nothing" : std::to_string(found.size()));
      for (const Detection& detection : found) {
        entry["detections"].push_back(to_json(detection, detector.class_names));
        text += fmt::format("  {:.3f} {} ({:.0f}, {:.0f}) to ({:.0f}, {:.0f})\n", detection.score,
                            detector.class_names[static_cast<size_t>(detection.label)],
                            detection.box.x1, detection.box.y1, detection.box.x2, detection.box.y2);
      }
      if (request.out.has_value()) {
        const fs::path file = fs::path(*request.out) / (fs::path(path).stem().string() + ".png");
        write_file_atomically(file,
                              encode_png(draw_detections(image, found, detector.class_names)));
        entry["picture"] = file.string();
        text += "  " + file.string() + "\n";
      }
      report.push_back(std::move(entry));
    }
    request.json ? print(report) : print(text);
  }

  void bench_training(const StepOptions& options) const override {
    const BenchInput input(options);
    Detector detector(find_detector(options.model)->options, /*seed=*/1);
    Optimizer optimizer(detector.tensors(), {.learning_rate = 1e-4, .momentum = 0.9});
    Random random({1});
    measure(options, [&] {
      const at::Tensor loss =
          detector.losses(input.images, input.targets, random, input.proposals).total();
      optimizer.zero_gradients();
      torch::autograd::backward({loss}, {});
      optimizer.step(1e-4);
    });
  }

  void bench_inference(const StepOptions& options) const override {
    const BenchInput input(options);
    Detector detector(find_detector(options.model)->options, /*seed=*/1);
    measure(options, [&] { detector.detect(input.images, input.proposals); });
  }

 private:
  // Images of the usual size with some objects, from a seed.
  struct BenchInput {
    explicit BenchInput(const StepOptions& options) {
      const DetectorOptions& detector = find_detector(options.model)->options;
      at::manual_seed(1);
      const int64_t height = options.size > 0 ? options.size : kBenchHeight;
      const int64_t width = options.size > 0 ? options.size : kBenchWidth;
      for (int64_t i = 0; i < options.batch_size; ++i) {
        images.push_back(at::rand({3, height, width}));
        const at::Tensor size = at::tensor({width, height}).to(at::kFloat);
        const at::Tensor corner = at::rand({kBenchObjects, 2}) * size * 0.5;
        const at::Tensor sides = (at::rand({kBenchObjects, 2}) * 0.4 + 0.05) * size;
        targets.push_back({.boxes = at::cat({corner, corner + sides}, 1),
                           .labels = at::randint(detector.classes, {kBenchObjects}, at::kLong),
                           .masks = {}});
        if (detector.masks)
          targets.back().masks = at::ones({kBenchObjects, height, width}, at::kByte);
        if (!detector.proposes) proposals.push_back(targets.back().boxes);
      }
    }

    std::vector<at::Tensor> images;
    std::vector<DetectionTarget> targets;
    std::vector<at::Tensor> proposals;
  };

  static std::vector<Detection> detections_in(Detector& detector, const Image& image) {
    std::vector<at::Tensor> proposals;
    if (!detector.options().proposes) {
      SearchedProposals searched(DetectionTaskOptions().outside_proposals);
      proposals.push_back(searched.of("", image));
    }
    return to_detections(detector.detect({image_tensor(image)}, proposals).front(),
                         {image.width, image.height});
  }
};

}  // namespace

NamedDetector open_detector(const fs::path& path) {
  const fs::path file = weight_file(path);
  return load_detector(read_weights(file), file.string());
}

const ModelKind& detection_kind() {
  static const DetectionKind kKind;
  return kKind;
}

}  // namespace striate::cli
