// Rich Feature Hierarchies for Accurate Object Detection and Semantic Segmentation
// R. Girshick, J. Donahue, T. Darrell, J. Malik, 2014
// https://arxiv.org/abs/1311.2524
#include "striate/detection/rcnn_task.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "detection/finder_metadata.h"
#include "detection/run_data.h"
#include "striate/base/cache.h"
#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/detection/average_precision.h"
#include "striate/detection/box_coding.h"
#include "striate/detection/detection_transforms.h"
#include "striate/detection/selective_search.h"
#include "striate/training/trainer.h"

namespace striate {

namespace {

constexpr const char* kRcnnKey = "striate.rcnn";
constexpr const char* kFeatures = "regions";

const RcnnEntry& entry_of(const std::string& name) {
  const RcnnEntry* const entry = find_rcnn(name);
  if (entry == nullptr) throw LookupError(fmt::format("{} is no R-CNN", name));
  return *entry;
}

// Regions of an image and what the network says of them.
struct Described {
  at::Tensor regions;   // (R, 4)
  at::Tensor features;  // (R, D) float16
};

at::Tensor searched(const Image& image, const RcnnOptions& options) {
  return box_tensor(selective_search(image, {.max_boxes = options.proposals}));
}

// All that features depend on of a network.
std::string bytes_hash(const NamedTensors& tensors) {
  std::string all;
  for (const auto& [key, tensor] : tensors) {
    if (!key.starts_with("backbone.")) continue;
    const at::Tensor values = tensor.contiguous();
    const std::string bytes(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
    all += fmt::format("{} {:016x}\n", key, std::hash<std::string>()(bytes));
  }
  return all;
}

// The features of images' regions, kept in the cache: an hour's work for some hundred images.
class DescribedImages {
 public:
  explicit DescribedImages(Rcnn& rcnn) : rcnn_(rcnn), network_(bytes_hash(rcnn.tensors())) {}

  // @param boxes  (M, 4): regions to put first
  Described operator()(const AnnotatedImage& image, const at::Tensor& boxes) {
    const std::filesystem::path file = cache_file(cache_folder(), kFeatures, made_of(image, boxes));
    if (!std::filesystem::exists(file)) {
      const Image pixels = load_detection_sample(image).image;
      const at::Tensor proposals = searched(pixels, rcnn_.options());
      const at::Tensor regions = at::cat({boxes, proposals});
      const at::Tensor features = rcnn_.features(image_tensor(pixels), regions).to(at::kHalf);
      write_safetensors({.tensors = {{"regions", regions}, {"features", features}}, .metadata = {}},
                        file);
    }
    const Weights kept = read_weights(file);
    return {.regions = kept.tensors.at("regions"), .features = kept.tensors.at("features")};
  }

 private:
  std::string made_of(const AnnotatedImage& image, const at::Tensor& boxes) const {
    const RcnnOptions& o = rcnn_.options();
    std::string all = network_ + file_state(image.path);
    all += fmt::format("{} {} {} {} {} {}\n", o.backbone, o.node, o.region_size, o.context, o.grid,
                       o.proposals);
    const at::Tensor values = boxes.contiguous();
    for (int64_t i = 0; i < values.numel(); ++i) {
      all += fmt::format("{} ", values.const_data_ptr<float>()[i]);
    }
    return all;
  }

  Rcnn& rcnn_;
  std::string network_;
};

std::vector<Detection> detections_of(const Rcnn& rcnn, const Described& described,
                                     const ImageSize& size) {
  return to_detections(rcnn.detect(described.features, described.regions, size), size);
}

class RcnnTask final : public Task {
 public:
  RcnnTask(const RunConfig& config, const TrainerOptions& trainer)
      : config_(config),
        options_(
            rcnn_task_options(config.recipe.task, entry_of(config.model).options, "recipe.task")),
        data_(open_run_data(config, {.lenient = options_.lenient, .without_masks = true})),
        rcnn_{.name = config.model,
              .rcnn = std::make_shared<Rcnn>(options_.rcnn, config.seed),
              .class_names = config.class_names} {
    if (trainer.device != "cpu") throw Error("R-CNN is trained on the processor only");
    check_classes();
    if (!options_.backbone_weights.empty()) {
      rcnn_.rcnn->load_backbone(read_weights(options_.backbone_weights));
    }
  }

  const NamedRcnn& rcnn() const { return rcnn_; }
  const DetectionData& data() const { return data_; }

  const NamedTensors& tensors() const override { return rcnn_.rcnn->tensors(); }
  void load(const Weights& weights) override { rcnn_.rcnn->load(weights); }
  std::map<std::string, std::string> metadata() const override { return rcnn_metadata(rcnn_); }
  std::string unit() const override { return "images"; }
  bool counts_correct() const override { return false; }

  int64_t batches_per_epoch() const override {
    const int64_t size = config_.recipe.batch_size;
    return (std::ssize(training()) + size - 1) / size;
  }

  void start_epoch(const EpochStart& start) override {
    batch_ = start.batch;
    described_ = std::make_unique<DescribedImages>(*rcnn_.rcnn);
  }

  BatchResult add_gradients(double) override {
    const int64_t begin = batch_ * config_.recipe.batch_size;
    const int64_t end = std::min(begin + config_.recipe.batch_size, std::ssize(training()));
    ++batch_;
    double loss = 0;
    for (int64_t i = begin; i < end; ++i) loss += rcnn_.rcnn->hinge_loss(example(i));
    return {.loss = loss / static_cast<double>(end - begin), .items = end - begin};
  }

  std::string first_non_finite() override { return first_non_finite_weight(tensors()); }

  Validation validate() override {
    rcnn_.rcnn->fit(
        std::ssize(training()), [this](int64_t i) { return example(i); }, config_.seed);
    const std::vector<AnnotatedImage>& held_out = images_of(data_, DetectionSplit::kValidation);
    if (held_out.empty()) return {};
    const double precision = evaluate_coco(held_out, detect_in(*rcnn_.rcnn, held_out),
                                           {.class_count = options_.rcnn.classes})
                                 .all.ap;
    if (precision < 0) return {};  // there is no object
    return {.accuracy = precision, .score = precision};
  }

 private:
  const std::vector<AnnotatedImage>& training() const {
    return images_of(data_, DetectionSplit::kTrain);
  }

  // Before an hour's work.
  void check_classes() const {
    std::vector<int64_t> objects(config_.class_names.size());
    for (const AnnotatedImage& image : training()) {
      for (const Instance& instance : image.instances) {
        if (!instance.ignored) ++objects.at(static_cast<size_t>(instance.label));
      }
    }
    for (size_t label = 0; label < objects.size(); ++label) {
      if (objects[label] > 0) continue;
      throw Error(fmt::format("{} has no {} to train on", config_.data, config_.class_names[label]),
                  "leave the class out of the data, or add images that have one");
    }
  }

  RcnnExample example(int64_t index) {
    const AnnotatedImage& image = training()[static_cast<size_t>(index)];
    std::vector<Box> boxes;
    std::vector<int64_t> labels;
    for (const Instance& instance : image.instances) {
      if (instance.ignored) continue;
      boxes.push_back(instance.box);
      labels.push_back(instance.label);
    }
    const at::Tensor objects = box_tensor(boxes);
    const Described described = (*described_)(image, objects);
    return {.features = described.features,
            .regions = described.regions,
            .boxes = objects,
            .labels = at::tensor(labels, at::kLong)};
  }

  const RunConfig config_;
  const RcnnTaskOptions options_;
  const DetectionData data_;
  const NamedRcnn rcnn_;
  std::unique_ptr<DescribedImages> described_;
  int64_t batch_ = 0;  // the next one
};

const RcnnTask& rcnn_task_of(Task& task) {
  auto* const rcnn = dynamic_cast<RcnnTask*>(&task);
  if (rcnn == nullptr) throw std::logic_error("the run trains no R-CNN");
  return *rcnn;
}

}  // namespace

const std::vector<RcnnEntry>& rcnns() {
  static const std::vector<RcnnEntry> kEntries = {
      {"rcnn_alexnet",
       "the paper's network, pool5",
       "rcnn",
       {.backbone = "alexnet", .node = "features.12", .classes = 20, .grid = 6}},
      {"rcnn_vgg16",
       "the deeper network of its later version",
       "rcnn",
       {.backbone = "vgg16", .node = "features.30", .classes = 20, .grid = 7}},
      {"rcnn_squeezenet1_0",
       "a small network",
       "rcnn-small",
       {.backbone = "squeezenet1_0", .node = "features.12.concat", .classes = 20}}};
  return kEntries;
}

const RcnnEntry* find_rcnn(const std::string& name) {
  const auto found = std::ranges::find(rcnns(), name, &RcnnEntry::name);
  return found == rcnns().end() ? nullptr : &*found;
}

std::map<std::string, std::string> rcnn_metadata(const NamedRcnn& rcnn) {
  return {{"format", "pt"},
          {kFinderModelKey, rcnn.name},
          {kRcnnKey, to_json(rcnn.rcnn->options()).dump()},
          {kFinderClassesKey, Json(rcnn.class_names).dump()}};
}

bool is_rcnn(const Weights& weights) {
  return weights.metadata.contains(kRcnnKey);
}

NamedRcnn load_rcnn(const Weights& weights, const std::string& origin) {
  if (!is_rcnn(weights)) {
    throw LookupError(origin + " holds no R-CNN",
                      "striate train rcnn_squeezenet1_0 --data DATA makes one");
  }
  const RcnnEntry& entry = entry_of(metadata_text(weights, kFinderModelKey, origin));
  const Json json = parse_json(metadata_text(weights, kRcnnKey, origin), origin);
  JsonReader reader(json, origin);
  const RcnnOptions options = read_rcnn_options(reader, entry.options);
  reader.finish();
  NamedRcnn loaded{.name = entry.name,
                   .rcnn = {},
                   .class_names = kept_class_names(weights, options.classes, origin)};
  loaded.rcnn = std::make_shared<Rcnn>(options, /*seed=*/1);
  loaded.rcnn->load(weights);
  return loaded;
}

RcnnTaskOptions rcnn_task_options(const Json& task, const RcnnOptions& usual,
                                  const std::string& where) {
  JsonReader reader(task, where);
  RcnnTaskOptions o{.rcnn = read_rcnn_options(reader, usual), .backbone_weights = {}};
  o.backbone_weights = reader.get("backbone_weights", o.backbone_weights);
  o.lenient = reader.get("lenient", o.lenient);
  reader.finish();
  return o;
}

Json to_json(const RcnnTaskOptions& options) {
  Json json = to_json(options.rcnn);
  json["backbone_weights"] = options.backbone_weights;
  json["lenient"] = options.lenient;
  return json;
}

std::unique_ptr<Task> make_rcnn_task(const RunConfig& config, const TrainerOptions& options) {
  return std::make_unique<RcnnTask>(config, options);
}

const NamedRcnn& rcnn_of(Task& task) {
  return rcnn_task_of(task).rcnn();
}

const DetectionData& rcnn_data_of(Task& task) {
  return rcnn_task_of(task).data();
}

std::vector<std::vector<Detection>> detect_in(Rcnn& rcnn, const std::vector<AnnotatedImage>& images,
                                              const std::function<void(int64_t)>& progress) {
  DescribedImages described(rcnn);
  std::vector<std::vector<Detection>> detections;
  for (const AnnotatedImage& image : images) {
    detections.push_back(
        detections_of(rcnn, described(image, at::empty({0, 4})), {image.width, image.height}));
    if (progress) progress(std::ssize(detections));
  }
  return detections;
}

std::vector<Detection> detect_in(Rcnn& rcnn, const Image& image) {
  const at::Tensor regions = searched(image, rcnn.options());
  const at::Tensor features = rcnn.features(image_tensor(image), regions);
  return detections_of(rcnn, {.regions = regions, .features = features},
                       {image.width, image.height});
}

}  // namespace striate
