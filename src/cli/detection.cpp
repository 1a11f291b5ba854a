#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include "cli/bench.h"
#include "cli/detection.h"
#include "cli/object_finder.h"
#include "striate/detection/detection_task.h"
#include "striate/training/optimizer.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

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

class DetectorFinder final : public ObjectFinder {
 public:
  DetectorFinder(NamedDetector detector, int64_t outside_proposals)
      : detector_(std::move(detector)), outside_proposals_(outside_proposals) {}

  std::string name() const override { return detector_.name; }
  std::vector<std::string> class_names() const override { return detector_.class_names; }
  bool finds_masks() const override { return detector_.detector->options().masks; }

  std::vector<std::vector<Detection>> find(
      const std::vector<AnnotatedImage>& images,
      const std::function<void(int64_t)>& progress) const override {
    SearchedProposals proposals(outside_proposals_);
    return detect_in(*detector_.detector, images, proposals, progress);
  }

  std::vector<Detection> find(const Image& image) const override {
    std::vector<at::Tensor> proposals;
    if (!detector_.detector->options().proposes) {
      proposals.push_back(SearchedProposals(outside_proposals_).of("", image));
    }
    return to_detections(detector_.detector->detect({image_tensor(image)}, proposals).front(),
                         {image.width, image.height});
  }

 private:
  NamedDetector detector_;
  int64_t outside_proposals_;
};

class DetectionKind final : public ObjectFinderKind {
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

  void complete(RunConfig& config) const override {
    const DetectorOptions& usual = find_detector(config.model)->options;
    DetectionTaskOptions options = checked_task(config.recipe, [&](const Json& task, auto where) {
      return detection_task_options(task, usual, where);
    });
    config.class_names = classes_to_find(config.data, options.lenient);
    options.detector.classes = std::ssize(config.class_names);
    config.recipe.task = striate::to_json(options);
  }

  TensorShapes tensors(const RunConfig& config) const override {
    return shapes_of(options_of(config).detector);
  }

  std::unique_ptr<Task> make_task(const RunConfig& config,
                                  const TrainerOptions& options) const override {
    return make_detection_task(config, options);
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

  std::unique_ptr<ObjectFinder> load(const Weights& weights,
                                     const std::string& origin) const override {
    return std::make_unique<DetectorFinder>(load_detector(weights, origin),
                                            DetectionTaskOptions().outside_proposals);
  }

  std::unique_ptr<ObjectFinder> trained_by(Task& task, const RunConfig& config) const override {
    return std::make_unique<DetectorFinder>(detector_of(task),
                                            options_of(config).outside_proposals);
  }

  const DetectionData& data_of(Task& task) const override { return detector_data_of(task); }
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
