#include "striate/detection/detection_task.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <stdexcept>

#include "detection/run_data.h"
#include "striate/base/error.h"
#include "striate/detection/box_coding.h"
#include "striate/detection/detection_transforms.h"
#include "striate/detection/mask.h"
#include "striate/detection/selective_search.h"
#include "striate/training/trainer.h"

namespace striate {

namespace {

const DetectorEntry& entry_of(const RunConfig& config) {
  const DetectorEntry* const entry = find_detector(config.model);
  if (entry == nullptr) throw LookupError(fmt::format("{} finds no objects", config.model));
  return *entry;
}

// What is not ignored.
DetectionTarget target_of(const DetectionSample& sample, bool masks) {
  std::vector<Box> boxes;
  std::vector<int64_t> labels;
  std::vector<at::Tensor> pixels;
  for (const Instance& instance : sample.instances) {
    if (instance.ignored) continue;
    boxes.push_back(instance.box);
    labels.push_back(instance.label);
    if (!masks || !instance.mask.has_value()) continue;
    const Image bitmap = decode_mask(*instance.mask);
    pixels.push_back(at::tensor(bitmap.pixels, at::kByte).view({bitmap.height, bitmap.width}));
  }
  DetectionTarget target{
      .boxes = box_tensor(boxes), .labels = at::tensor(labels, at::kLong), .masks = {}};
  if (!masks) return target;
  if (pixels.size() != boxes.size()) {
    throw Error("an object to train on has no mask", "train a detector without masks");
  }
  target.masks = pixels.empty() ? at::zeros({0, sample.image.height, sample.image.width}, at::kByte)
                                : at::stack(pixels);
  return target;
}

class DetectionTask final : public Task {
 public:
  DetectionTask(const RunConfig& config, const TrainerOptions& trainer)
      : config_(config),
        options_(
            detection_task_options(config.recipe.task, entry_of(config).options, "recipe.task")),
        data_(open_run_data(
            config, {.lenient = options_.lenient, .without_masks = !options_.detector.masks})),
        detector_{.name = config.model,
                  .detector = std::make_shared<Detector>(options_.detector, config.seed),
                  .class_names = config.class_names} {
    if (trainer.device != "cpu") throw Error("a detector is trained on the processor only");
    if (options_.detector.classes != std::ssize(config.class_names)) {
      throw FormatError(fmt::format("recipe.task: classes is {}, the data has {}",
                                    options_.detector.classes, config.class_names.size()));
    }
    if (batches_of(0).size() < static_cast<size_t>(config.recipe.accumulate)) {
      throw Error(fmt::format("{} has {} images for training: a step needs {}", config.data,
                              images(DetectionSplit::kTrain).size(),
                              config.recipe.batch_size * config.recipe.accumulate),
                  "use more images, or a smaller --batch-size");
    }
    if (!options_.backbone_weights.empty()) {
      detector_.detector->load_backbone(read_weights(options_.backbone_weights));
    }
  }

  const NamedDetector& detector() const { return detector_; }
  const DetectionData& data() const { return data_; }

  const NamedTensors& tensors() const override { return detector_.detector->tensors(); }
  void load(const Weights& weights) override { detector_.detector->load(weights); }
  std::map<std::string, std::string> metadata() const override {
    return detector_metadata(detector_);
  }
  std::string unit() const override { return "images"; }
  bool counts_correct() const override { return false; }

  int64_t batches_per_epoch() const override { return std::ssize(batches_of(0)); }

  void start_epoch(const EpochStart& start) override {
    epoch_ = start.epoch;
    batch_ = start.batch;
    batches_ = batches_of(epoch_);
  }

  BatchResult add_gradients(double scale) override {
    std::vector<at::Tensor> images;
    std::vector<DetectionTarget> targets;
    std::vector<at::Tensor> proposals;
    for (const int64_t index : batches_.at(static_cast<size_t>(batch_))) {
      DetectionSample sample = load_detection_sample(training_image(index));
      if (!options_.detector.proposes) proposals.push_back(proposals_of(index, sample.image));
      if (is_flipped(index)) sample = flip_horizontally(sample);
      images.push_back(image_tensor(sample.image));
      targets.push_back(target_of(sample, options_.detector.masks));
    }
    Random random({config_.seed, hash_name("regions"), static_cast<uint64_t>(epoch_),
                   static_cast<uint64_t>(batch_)});
    ++batch_;
    const at::Tensor loss = detector_.detector->losses(images, targets, random, proposals).total();
    const BatchResult result{.loss = loss.item<double>(), .items = std::ssize(images)};
    if (std::isfinite(result.loss)) torch::autograd::backward({loss * scale}, {});
    return result;
  }

  std::string first_non_finite() override { return first_non_finite_weight(tensors()); }

  Validation validate() override {
    const std::vector<AnnotatedImage>& held_out = images(DetectionSplit::kValidation);
    if (held_out.empty()) return {};
    const std::vector<std::vector<Detection>> found =
        detect_in(*detector_.detector, held_out, searched_);
    const OverlapOf overlap = options_.detector.masks ? OverlapOf::kMasks : OverlapOf::kBoxes;
    const double precision =
        evaluate_coco(held_out, found,
                      {.class_count = options_.detector.classes, .overlap = overlap})
            .all.ap;
    if (precision < 0) return {};  // there is no object
    return {.accuracy = precision, .score = precision};
  }

 private:
  const std::vector<AnnotatedImage>& images(DetectionSplit split) const {
    return images_of(data_, split);
  }

  std::vector<std::vector<int64_t>> batches_of(int64_t epoch) const {
    return grouped_batches(
        images(DetectionSplit::kTrain),
        {.batch_size = config_.recipe.batch_size, .seed = config_.seed, .epoch = epoch});
  }

  bool is_flipped(int64_t index) const {
    Random random({config_.seed, hash_name("flip"), static_cast<uint64_t>(epoch_),
                   static_cast<uint64_t>(index)});
    return random.chance(options_.flip_probability);
  }

  // Of an image that is not flipped, in its pixels once it is.
  at::Tensor proposals_of(int64_t index, const Image& image) {
    const at::Tensor boxes = searched_.of(training_image(index).path.string(), image);
    if (!is_flipped(index)) return boxes;
    const auto width = static_cast<double>(image.width);
    return at::stack({width - boxes.select(1, 2), boxes.select(1, 1), width - boxes.select(1, 0),
                      boxes.select(1, 3)},
                     1);
  }

  const AnnotatedImage& training_image(int64_t index) const {
    return images(DetectionSplit::kTrain)[static_cast<size_t>(index)];
  }

  const RunConfig config_;
  const DetectionTaskOptions options_;
  const DetectionData data_;
  const NamedDetector detector_;
  SearchedProposals searched_{options_.outside_proposals};
  std::vector<std::vector<int64_t>> batches_;  // of this epoch
  int64_t epoch_ = 0;
  int64_t batch_ = 0;  // the next one
};

const DetectionTask& detection_task_of(Task& task) {
  auto* const detection = dynamic_cast<DetectionTask*>(&task);
  if (detection == nullptr) throw std::logic_error("the run trains no detector");
  return *detection;
}

}  // namespace

DetectionTaskOptions detection_task_options(const Json& task, const DetectorOptions& usual,
                                            const std::string& where) {
  JsonReader reader(task, where);
  DetectionTaskOptions o;
  o.detector = read_detector_options(reader, usual);
  o.backbone_weights = reader.get("backbone_weights", o.backbone_weights);
  o.flip_probability = reader.get("flip_probability", o.flip_probability);
  o.outside_proposals = reader.get("outside_proposals", o.outside_proposals);
  o.lenient = reader.get("lenient", o.lenient);
  reader.finish();
  if (!(o.flip_probability >= 0 && o.flip_probability <= 1)) {
    throw reader.error("flip_probability",
                       fmt::format("must be in [0, 1], got {}", o.flip_probability));
  }
  if (o.outside_proposals < 1) {
    throw reader.error("outside_proposals",
                       fmt::format("must be at least 1, got {}", o.outside_proposals));
  }
  return o;
}

Json to_json(const DetectionTaskOptions& options) {
  Json json = to_json(options.detector);
  json["backbone_weights"] = options.backbone_weights;
  json["flip_probability"] = options.flip_probability;
  json["outside_proposals"] = options.outside_proposals;
  json["lenient"] = options.lenient;
  return json;
}

std::unique_ptr<Task> make_detection_task(const RunConfig& config, const TrainerOptions& options) {
  return std::make_unique<DetectionTask>(config, options);
}

const NamedDetector& detector_of(Task& task) {
  return detection_task_of(task).detector();
}

const DetectionData& detector_data_of(Task& task) {
  return detection_task_of(task).data();
}

at::Tensor SearchedProposals::of(const std::string& path, const Image& image) {
  const auto found = kept_.find(path);
  if (found != kept_.end()) return found->second;
  return kept_[path] = box_tensor(selective_search(image, {.max_boxes = count_}));
}

std::vector<std::vector<Detection>> detect_in(Detector& detector,
                                              const std::vector<AnnotatedImage>& images,
                                              SearchedProposals& proposals,
                                              const std::function<void(int64_t)>& progress) {
  std::vector<std::vector<Detection>> detections;
  for (const AnnotatedImage& annotated : images) {
    const Image image = load_detection_sample(annotated).image;
    std::vector<at::Tensor> outside;
    if (!detector.options().proposes) {
      outside.push_back(proposals.of(annotated.path.string(), image));
    }
    const FoundObjects found = detector.detect({image_tensor(image)}, outside).front();
    detections.push_back(to_detections(found, {image.width, image.height}));
    if (progress) progress(std::ssize(detections));
  }
  return detections;
}

}  // namespace striate
