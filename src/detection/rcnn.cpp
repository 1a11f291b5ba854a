// Rich Feature Hierarchies for Accurate Object Detection and Semantic Segmentation
// R. Girshick, J. Donahue, T. Darrell, J. Malik, 2014
// https://arxiv.org/abs/1311.2524
#include "striate/detection/rcnn.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "detection/backbone.h"
#include "detection/image_batch.h"
#include "detection/region_head.h"
#include "detection/region_reader.h"
#include "striate/base/error.h"
#include "striate/detection/box_coding.h"
#include "striate/detection/linear_svm.h"
#include "striate/detection/region_pooling.h"

namespace striate {

namespace {

constexpr const char* kBackbone = "backbone.";
constexpr int64_t kRegionsAtOnce = 32;
constexpr int64_t kLargestSize = 65536;
// The published code's: features are scaled to this mean length, which svm_cost goes with.
constexpr double kFeatureLength = 20;
// The published code's: below it a machine is sure of a negative example.
constexpr double kEasyMargin = -1.2;

at::Tensor rows_where(const at::Tensor& rows, const at::Tensor& mask) {
  return rows.index_select(0, mask.nonzero().squeeze(1));
}

// The largest overlap of each region with the objects of a class; 0 where there is none.
at::Tensor overlap_with_class(const RcnnExample& example, int64_t label) {
  const at::Tensor boxes = rows_where(example.boxes, example.labels == label);
  if (boxes.size(0) == 0) return at::zeros({example.regions.size(0)});
  return std::get<0>(box_overlaps(boxes, example.regions).max(0));
}

// Appendix A: a region, so much larger that the network sees `context` pixels around it.
at::Tensor with_context(const at::Tensor& regions, const RcnnOptions& o) {
  const auto side = static_cast<double>(o.region_size);
  const double factor = side / (side - 2 * static_cast<double>(o.context)) / 2;
  const at::Tensor centre = (regions.slice(1, 0, 2) + regions.slice(1, 2, 4)) / 2;
  const at::Tensor half = (regions.slice(1, 2, 4) - regions.slice(1, 0, 2)).clamp_min(1) * factor;
  return at::cat({centre - half, centre + half}, 1);
}

// The examples that a class's machine is trained on.
struct ClassExamples {
  std::vector<at::Tensor> positive;
  std::vector<at::Tensor> negative;
};

// Regions that overlap an object of one class well, and what moves each onto it.
struct BoxExamples {
  std::vector<at::Tensor> features;  // (n, D)
  std::vector<at::Tensor> codes;     // (n, 4)
};

// The least |X W - Y|^2 + regularization |W|^2, (D, 4), in the smaller of its two forms.
at::Tensor ridge(const at::Tensor& x, const at::Tensor& y, double regularization) {
  const bool dual = x.size(0) < x.size(1);
  const at::Tensor gram = dual ? at::mm(x, x.t()) : at::mm(x.t(), x);
  gram.diagonal().add_(regularization);
  const at::Tensor factor = at::linalg_cholesky(gram);
  return dual ? at::mm(x.t(), at::cholesky_solve(y, factor))
              : at::cholesky_solve(at::mm(x.t(), y), factor);
}

}  // namespace

RcnnOptions read_rcnn_options(JsonReader& reader, const RcnnOptions& usual) {
  RcnnOptions o = usual;
  o.backbone = reader.get("backbone", o.backbone);
  o.node = reader.get("node", o.node);
  struct Whole {
    const char* key;
    int64_t* value;
    int64_t least;
  };
  for (const Whole& whole : {Whole{"classes", &o.classes, 0},
                             {"region_size", &o.region_size, 8},
                             {"context", &o.context, 0},
                             {"grid", &o.grid, 1},
                             {"proposals", &o.proposals, 1},
                             {"mining_passes", &o.mining_passes, 0},
                             {"first_negatives", &o.first_negatives, 1},
                             {"most_detections", &o.most_detections, 1}}) {
    *whole.value = reader.get(whole.key, *whole.value);
    if (*whole.value < whole.least || *whole.value > kLargestSize) {
      throw reader.error(whole.key, fmt::format("must be in [{}, {}], got {}", whole.least,
                                                kLargestSize, *whole.value));
    }
  }
  if (2 * o.context >= o.region_size) {
    throw reader.error("context", fmt::format("leaves nothing of a region of {} pixels: {} on each "
                                              "side",
                                              o.region_size, o.context));
  }
  for (const auto& [key, value] : {std::pair{"negative_overlap", &o.negative_overlap},
                                   {"box_overlap", &o.box_overlap},
                                   {"score_threshold", &o.score_threshold},
                                   {"detection_overlap", &o.detection_overlap}}) {
    *value = reader.get(key, *value);
    if (!(*value >= 0 && *value <= 1)) {
      throw reader.error(key, fmt::format("must be in [0, 1], got {}", *value));
    }
  }
  for (const auto& [key, value] :
       {std::pair{"svm_cost", &o.svm_cost}, {"box_regularization", &o.box_regularization}}) {
    *value = reader.get(key, *value);
    if (!(*value > 0)) throw reader.error(key, fmt::format("must be above 0, got {}", *value));
  }
  return o;
}

Json to_json(const RcnnOptions& o) {
  return {{"backbone", o.backbone},
          {"node", o.node},
          {"classes", o.classes},
          {"region_size", o.region_size},
          {"context", o.context},
          {"grid", o.grid},
          {"proposals", o.proposals},
          {"svm_cost", o.svm_cost},
          {"mining_passes", o.mining_passes},
          {"first_negatives", o.first_negatives},
          {"negative_overlap", o.negative_overlap},
          {"box_overlap", o.box_overlap},
          {"box_regularization", o.box_regularization},
          {"score_threshold", o.score_threshold},
          {"detection_overlap", o.detection_overlap},
          {"most_detections", o.most_detections}};
}

class Rcnn::Describer {
 public:
  Describer(const RcnnOptions& options, uint64_t seed)
      : options_(options),
        part_(DetectorOptions{.backbone = options.backbone},
              GraphPart{.input = {3, options.region_size, options.region_size},
                        .ends = {options.node}},
              seed) {
    if (part_.output_shape(0).size() != 3) {
      throw std::invalid_argument(
          fmt::format("R-CNN needs a node of {} whose value is a map, {} has {}", options.backbone,
                      options.node, to_string(part_.output_shape(0))));
    }
    for (at::Tensor& parameter : part_.network().parameters()) parameter.set_requires_grad(false);
  }

  int64_t size() const { return part_.output_shape(0).front() * options_.grid * options_.grid; }
  NetworkPart& part() { return part_; }

  // (R, D)
  at::Tensor operator()(const at::Tensor& image, const at::Tensor& regions) {
    at::NoGradGuard no_grad;
    const at::Tensor maps = normalised(image).unsqueeze(0);
    const RegionPooling warp{.size = options_.region_size, .sampling_ratio = 2, .aligned = true};
    std::vector<at::Tensor> rows;
    for (const at::Tensor& some : with_context(regions, options_).split(kRegionsAtOnce)) {
      const at::Tensor warped = roi_align(maps, with_index({some}), warp);
      const at::Tensor values = part_.outputs(warped).front();
      rows.push_back(
          at::adaptive_avg_pool2d(values, {options_.grid, options_.grid}).flatten(1).contiguous());
    }
    return rows.empty() ? at::empty({0, size()}) : at::cat(rows);
  }

 private:
  const RcnnOptions& options_;
  NetworkPart part_;
};

Rcnn::Rcnn(const RcnnOptions& options, uint64_t seed)
    : options_(options), describer_(std::make_unique<Describer>(options_, seed)) {
  const int64_t size = describer_->size();
  svm_weight_ = at::zeros({options.classes, size});
  svm_bias_ = at::zeros({options.classes});
  box_weight_ = at::zeros({4 * options.classes, size});
  box_bias_ = at::zeros({4 * options.classes});
  feature_scale_ = at::ones({1});
  describer_->part().append_tensors(kBackbone, tensors_);
  for (const auto& [key, tensor] : {std::pair{"svm.weight", svm_weight_},
                                    {"svm.bias", svm_bias_},
                                    {"boxes.weight", box_weight_},
                                    {"boxes.bias", box_bias_},
                                    {"feature_scale", feature_scale_}}) {
    tensors_.emplace_back(key, tensor);
  }
}

Rcnn::~Rcnn() = default;

void Rcnn::load(const Weights& weights) {
  copy_weights(weights, tensors_);
  describer_->part().weights_changed();
}

void Rcnn::load_backbone(const Weights& weights) {
  describer_->part().load(weights);
}

at::Tensor Rcnn::features(const at::Tensor& image, const at::Tensor& regions) {
  return (*describer_)(image, regions);
}

at::Tensor Rcnn::margins(const at::Tensor& features) const {
  return at::addmm(svm_bias_, features.to(at::kFloat) * feature_scale_, svm_weight_.t());
}

namespace {

// 2.3, and the published code: every object is a positive example; negative ones are drawn at
// first, and then those of all regions that the machines are not sure of.
class Mining {
 public:
  Mining(const RcnnOptions& options, double scale)
      : options_(options), scale_(scale), classes_(static_cast<size_t>(options.classes)) {}

  void add_first(const RcnnExample& example, Random& random) {
    const int64_t objects = example.boxes.size(0);
    for (int64_t label = 0; label < options_.classes; ++label) {
      ClassExamples& own = classes_[static_cast<size_t>(label)];
      own.positive.push_back(
          scaled(rows_where(example.features.slice(0, 0, objects), example.labels == label)));
      const at::Tensor negative = negatives(example, label);
      std::vector<int64_t> drawn = random.permutation(negative.size(0));
      drawn.resize(std::min(drawn.size(), static_cast<size_t>(options_.first_negatives)));
      own.negative.push_back(scaled(example.features.index_select(
          0, negative.index_select(0, at::tensor(drawn, at::kLong)))));
    }
  }

  // Begins a pass that finds all negatives anew.
  void forget_negatives() {
    for (ClassExamples& own : classes_) own.negative.clear();
  }

  // @param margins  (R, classes)
  void add_hard(const RcnnExample& example, const at::Tensor& margins) {
    for (int64_t label = 0; label < options_.classes; ++label) {
      const at::Tensor negative = negatives(example, label);
      const at::Tensor hard = margins.select(1, label).index_select(0, negative) > kEasyMargin;
      classes_[static_cast<size_t>(label)].negative.push_back(
          scaled(example.features.index_select(0, rows_where(negative, hard))));
    }
  }

  // False where a machine is sure of all: it stays as it is.
  bool has_negatives(int64_t label) const {
    return std::ranges::any_of(classes_[static_cast<size_t>(label)].negative,
                               [](const at::Tensor& rows) { return rows.size(0) > 0; });
  }

  LinearSvm machine(int64_t label) const {
    const ClassExamples& own = classes_[static_cast<size_t>(label)];
    const at::Tensor positive = at::cat(own.positive);
    if (positive.size(0) == 0) {
      throw std::invalid_argument(fmt::format("no example has an object of class {}", label));
    }
    return train_linear_svm(positive, at::cat(own.negative), {.cost = options_.svm_cost});
  }

 private:
  at::Tensor scaled(const at::Tensor& features) const { return features.to(at::kFloat) * scale_; }

  at::Tensor negatives(const RcnnExample& example, int64_t label) const {
    return (overlap_with_class(example, label) < options_.negative_overlap).nonzero().squeeze(1);
  }

  const RcnnOptions& options_;
  double scale_;
  std::vector<ClassExamples> classes_;
};

// Appendix C: from regions that overlap an object well, by ridge regression.
class BoxRegression {
 public:
  BoxRegression(const RcnnOptions& options, double scale)
      : options_(options), scale_(scale), classes_(static_cast<size_t>(options.classes)) {}

  void add(const RcnnExample& example) {
    if (example.boxes.size(0) == 0) return;
    const at::Tensor overlaps = box_overlaps(example.boxes, example.regions);
    const auto [best, object] = overlaps.max(0);
    for (int64_t label = 0; label < options_.classes; ++label) {
      const at::Tensor near =
          ((best > options_.box_overlap) & (example.labels.index_select(0, object) == label))
              .nonzero()
              .squeeze(1);
      if (near.numel() == 0) continue;
      BoxExamples& own = classes_[static_cast<size_t>(label)];
      own.features.push_back(example.features.index_select(0, near));
      own.codes.push_back(encode_boxes(example.boxes.index_select(0, object.index_select(0, near)),
                                       example.regions.index_select(0, near), kPlainCode));
    }
  }

  // (D + 1, 4): the last row is the bias. Undefined where nothing was seen.
  at::Tensor weights(int64_t label) const {
    const BoxExamples& own = classes_[static_cast<size_t>(label)];
    if (own.features.empty()) return {};
    const at::Tensor features = at::cat(own.features).to(at::kDouble) * scale_;
    const at::Tensor x = at::cat({features, at::ones({features.size(0), 1}, at::kDouble)}, 1);
    return ridge(x, at::cat(own.codes).to(at::kDouble), options_.box_regularization);
  }

 private:
  const RcnnOptions& options_;
  double scale_;
  std::vector<BoxExamples> classes_;
};

}  // namespace

void Rcnn::fit(int64_t images, const std::function<RcnnExample(int64_t)>& example, uint64_t seed,
               const std::function<void(int64_t, int64_t)>& progress) {
  at::NoGradGuard no_grad;
  const int64_t passes = options_.mining_passes + 2;
  int64_t done = 0;
  const auto each = [&](const auto& body) {
    for (int64_t image = 0; image < images; ++image) body(example(image), image);
    if (progress) progress(++done, passes);
  };
  double length = 0;
  int64_t rows = 0;
  each([&](const RcnnExample& one, int64_t) {
    length += one.features.to(at::kFloat).norm(2, 1).sum().item<double>();
    rows += one.features.size(0);
  });
  const double scale = length > 0 ? kFeatureLength * static_cast<double>(rows) / length : 1;
  feature_scale_.fill_(scale);

  Mining mining(options_, scale);
  BoxRegression regression(options_, scale);
  each([&](const RcnnExample& one, int64_t image) {
    Random random({seed, hash_name("first negatives"), static_cast<uint64_t>(image)});
    mining.add_first(one, random);
    regression.add(one);
  });
  const auto train_machines = [&] {
    for (int64_t label = 0; label < options_.classes; ++label) {
      if (!mining.has_negatives(label)) continue;
      const LinearSvm svm = mining.machine(label);
      svm_weight_[label].copy_(svm.weight);
      svm_bias_[label].fill_(svm.bias);
    }
  };
  train_machines();
  for (int64_t pass = 0; pass < options_.mining_passes; ++pass) {
    mining.forget_negatives();
    each([&](const RcnnExample& one, int64_t) { mining.add_hard(one, margins(one.features)); });
    train_machines();
  }
  const int64_t size = svm_weight_.size(1);
  for (int64_t label = 0; label < options_.classes; ++label) {
    const at::Tensor weights = regression.weights(label);
    if (!weights.defined()) continue;  // its boxes stay where they are
    box_weight_.narrow(0, 4 * label, 4).copy_(weights.slice(0, 0, size).t());
    box_bias_.narrow(0, 4 * label, 4).copy_(weights[size]);
  }
}

double Rcnn::hinge_loss(const RcnnExample& example) const {
  const at::Tensor all = margins(example.features);
  if (all.numel() == 0) return 0;
  const int64_t objects = example.boxes.size(0);
  double sum = 0;
  int64_t count = 0;
  for (int64_t label = 0; label < options_.classes; ++label) {
    const at::Tensor own = all.select(1, label);
    const at::Tensor positive = rows_where(own.slice(0, 0, objects), example.labels == label);
    const at::Tensor negative =
        rows_where(own, overlap_with_class(example, label) < options_.negative_overlap);
    sum += (1 - positive).clamp_min(0).sum().item<double>() +
           (1 + negative).clamp_min(0).sum().item<double>();
    count += positive.numel() + negative.numel();
  }
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

FoundObjects Rcnn::detect(const at::Tensor& features, const at::Tensor& regions,
                          const ImageSize& size) const {
  at::NoGradGuard no_grad;
  const at::Tensor scores = margins(features).sigmoid();
  const at::Tensor codes =
      at::addmm(box_bias_, features.to(at::kFloat) * feature_scale_, box_weight_.t());
  const at::Tensor boxes = clip_boxes(decode_boxes(codes, regions, kPlainCode), size);
  return found_objects(scores, boxes,
                       {.score_threshold = options_.score_threshold,
                        .overlap = options_.detection_overlap,
                        .most = options_.most_detections});
}

}  // namespace striate
