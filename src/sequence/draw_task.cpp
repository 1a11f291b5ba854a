// Images are binarised as in "On the Quantitative Analysis of Deep Belief Networks" (R.
// Salakhutdinov and I. Murray, 2008): a pixel's intensity is the probability that it is 1.
#include "striate/sequence/draw_task.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <tuple>
#include <variant>

#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/data/loader.h"
#include "striate/training/trainer.h"

namespace striate {

namespace {

constexpr int64_t kEvaluationBatch = 200;
constexpr int64_t kLargestSize = 65536;

const char* kModelKey = "striate.model";
const char* kModelName = "draw";
const char* kInputKey = "striate.input";
const char* kTaskKey = "striate.draw";

// Standard normal, by the seeds and nothing else.
at::Tensor noise_of(const DrawOptions& o, int64_t n, std::initializer_list<uint64_t> seeds) {
  const at::Generator generator = at::detail::createCPUGenerator(Random(seeds).next());
  return at::empty({o.steps, n, o.latent_size}).normal_(0, 1, generator);
}

// Pixels that are 1 as often as their intensity says, by the random numbers of each image.
template <typename RandomOf>
at::Tensor drawn_pixels(const at::Tensor& images, const RandomOf& random_of) {
  at::Tensor drawn = at::empty_like(images);
  const int64_t pixels = images[0].numel();
  const float* const intensity = images.data_ptr<float>();
  float* const out = drawn.data_ptr<float>();
  for (int64_t n = 0; n < images.size(0); ++n) {
    Random random = random_of(n);
    for (int64_t i = n * pixels; i < (n + 1) * pixels; ++i) {
      out[i] = random.chance(intensity[i]) ? 1 : 0;
    }
  }
  return drawn;
}

template <typename RandomOf>
at::Tensor prepared(const Batch& batch, Binarization binarization, const RandomOf& random_of) {
  const at::Tensor images = batch.images.contiguous();
  switch (binarization) {
    case Binarization::kNone:
      return images;
    case Binarization::kThreshold:
      return images.ge(0.5).to(at::kFloat);
    case Binarization::kStochastic:
      return drawn_pixels(images, random_of);
  }
  throw std::logic_error("a binarisation without a case");
}

uint64_t index_of(const Batch& batch, int64_t n) {
  return static_cast<uint64_t>(batch.indices[static_cast<size_t>(n)]);
}

// The training images that a run uses, and those it holds out: always the same ones.
struct DrawData {
  std::shared_ptr<const Dataset> training;
  std::shared_ptr<const Dataset> validation;
};

DrawData split_images(const std::shared_ptr<const Dataset>& all, int64_t validation_size) {
  const HeldOut parts = hold_out(all->size(), validation_size, 0);
  return {subset(all, parts.training), subset(all, parts.validation)};
}

DrawData open_draw_data(const RunConfig& config, const DrawTaskOptions& options) {
  std::shared_ptr<const Dataset> all = open_dataset(config.data, Split::kTrain);
  if (config.limit > 0 && config.limit < all->size()) {
    all = subset(all, hold_out(all->size(), config.limit, config.seed).validation);
  }
  return split_images(all, options.validation_size);
}

class DrawTask final : public Task {
 public:
  DrawTask(const RunConfig& config, const TrainerOptions& trainer)
      : config_(config),
        options_(draw_task_options(config.recipe.task, config.input, "recipe.task")),
        device_(find_device(trainer.device)),
        data_(open_draw_data(config, options_)),
        model_(options_.model, config.seed),
        loader_(*data_.training, options_.transforms, loader_options(trainer)) {
    if (batches_per_epoch() < config.recipe.accumulate) {
      throw std::invalid_argument(
          fmt::format("a step of {} batches of {} needs more than {} training images: use a "
                      "smaller accumulate or batch_size",
                      config.recipe.accumulate, config.recipe.batch_size, data_.training->size()));
    }
    model_.to(device_);
  }

  Draw& model() { return model_; }

  const NamedTensors& tensors() const override { return model_.tensors(); }
  void load(const Weights& weights) override { copy_weights(weights, model_.tensors()); }
  std::string unit() const override { return "images"; }
  bool counts_correct() const override { return false; }

  std::map<std::string, std::string> metadata() const override {
    return {{"format", "pt"},
            {kModelKey, kModelName},
            {kInputKey, Json(config_.input).dump()},
            {kTaskKey, config_.recipe.task.dump()}};
  }

  int64_t batches_per_epoch() const override { return loader_.batch_count(); }
  double waited_seconds() const override { return loader_.waited_seconds(); }

  void start_epoch(const EpochStart& start) override {
    epoch_ = static_cast<uint64_t>(start.epoch);
    batch_ = static_cast<uint64_t>(start.batch);
    loader_.start(start.epoch, start.batch);
  }

  BatchResult add_gradients(double scale) override {
    const Batch batch = *loader_.next();
    const at::Tensor images = prepared(batch, options_.binarization, [&](int64_t n) {
      return Random({config_.seed, hash_name("pixels"), epoch_, index_of(batch, n)});
    });
    const at::Tensor noise = noise_of(options_.model, images.size(0),
                                      {config_.seed, hash_name("noise"), epoch_, batch_++});
    const DrawBound bound = model_.forward(images.to(device_), noise.to(device_));
    const at::Tensor loss = (bound.reconstruction + bound.latent).mean();
    const BatchResult result{.loss = loss.item<double>(), .items = images.size(0)};
    if (std::isfinite(result.loss)) torch::autograd::backward({loss * scale}, {});
    return result;
  }

  std::string first_non_finite() override { return first_non_finite_weight(tensors()); }

  Validation validate() override {
    const double bound = evaluate_draw(model_, options_, *data_.validation).bound();
    return {.loss = bound, .score = -bound};
  }

 private:
  LoaderOptions loader_options(const TrainerOptions& trainer) const {
    return {.batch_size = std::min(config_.recipe.batch_size, data_.training->size()),
            .order = Order::kShuffled,
            .last_batch = LastBatch::kDrop,
            .seed = config_.seed,
            .threads = trainer.loader_threads};
  }

  const RunConfig config_;
  const DrawTaskOptions options_;
  const at::Device device_;
  const DrawData data_;
  Draw model_;
  Loader loader_;
  uint64_t epoch_ = 0;
  uint64_t batch_ = 0;  // the next one
};

}  // namespace

Preprocessing draw_transforms(const Json& task, const std::string& where) {
  JsonReader reader(task, where);
  Preprocessing list = Preprocessing::from_json(reader.at("transforms"), where + ".transforms");
  for (const Transform& transform : list.transforms()) {
    if (std::holds_alternative<transforms::Normalize>(transform) ||
        std::holds_alternative<transforms::RandomErasing>(transform)) {
      throw reader.error("transforms",
                         "must leave pixels in [0, 1]: no normalize, no "
                         "random_erasing");
    }
    if (std::holds_alternative<transforms::TenCrop>(transform)) {
      throw reader.error("transforms", "must make one image of one: no ten_crop");
    }
  }
  return list;
}

DrawTaskOptions draw_task_options(const Json& task, const Shape& input, const std::string& where) {
  JsonReader reader(task, where);
  DrawTaskOptions o;
  if (input.size() != 3) throw FormatError(where + ": an input is (C, H, W)");
  o.model.channels = input[0];
  o.model.height = input[1];
  o.model.width = input[2];
  for (const auto& [key, value, least] : {std::tuple{"read_size", &o.model.read_size, 0},
                                          {"write_size", &o.model.write_size, 0},
                                          {"hidden_size", &o.model.hidden_size, 1},
                                          {"latent_size", &o.model.latent_size, 1},
                                          {"steps", &o.model.steps, 1},
                                          {"validation_size", &o.validation_size, 1}}) {
    *value = reader.get<int64_t>(key);
    if (*value < least || *value > kLargestSize) {
      throw reader.error(key,
                         fmt::format("must be in [{}, {}], got {}", least, kLargestSize, *value));
    }
  }
  const auto word = reader.get<std::string>("binarize");
  const auto found = std::ranges::find(kBinarizationNames, word);
  if (found == kBinarizationNames.end()) {
    throw reader.error("binarize",
                       fmt::format("must be none, threshold or stochastic, got \"{}\"", word));
  }
  o.binarization = static_cast<Binarization>(found - kBinarizationNames.begin());
  reader.has("transforms");
  o.transforms = draw_transforms(task, where);
  reader.finish();
  try {
    check_draw_options(o.model);
  } catch (const std::invalid_argument& error) {
    throw FormatError(fmt::format("{}: {}", where, error.what()));
  }
  return o;
}

std::unique_ptr<Task> make_draw_task(const RunConfig& config, const TrainerOptions& options) {
  return std::make_unique<DrawTask>(config, options);
}

Draw& draw_of(Task& task) {
  auto* draw = dynamic_cast<DrawTask*>(&task);
  if (draw == nullptr) throw std::logic_error("this run trains no DRAW");
  return draw->model();
}

bool is_draw(const Weights& weights) {
  return weights.metadata.contains(kTaskKey);
}

LoadedDraw load_draw(const Weights& weights, const std::string& origin) {
  if (!is_draw(weights)) {
    throw LookupError(origin + " holds no DRAW", "striate train draw --data idx:DIR makes one");
  }
  const auto input = weights.metadata.find(kInputKey);
  if (input == weights.metadata.end()) {
    throw FormatError(fmt::format("{}: its metadata lacks {}", origin, kInputKey));
  }
  const Json shape = parse_json(input->second, origin + ": input");
  if (!shape.is_array() || !holds_whole<Shape>(shape)) {
    throw FormatError(fmt::format("{}: its input is no shape: {}", origin, input->second));
  }
  const Json task = parse_json(weights.metadata.at(kTaskKey), origin + ": sizes");
  LoadedDraw loaded{.options = draw_task_options(task, shape.get<Shape>(), origin + ": sizes"),
                    .model = {}};
  // Before the model is made: a damaged file must not ask for more memory than it has.
  for (const auto& [key, wanted] : draw_shapes(loaded.options.model)) {
    const auto found = weights.tensors.find(key);
    if (found == weights.tensors.end() || found->second.sizes() != at::IntArrayRef(wanted)) {
      throw ShapeError(fmt::format("{}: {} is missing or not {}", origin, key, to_string(wanted)),
                       "the file is damaged: get or make it again");
    }
  }
  loaded.model = std::make_shared<Draw>(loaded.options.model, /*seed=*/1);
  copy_weights(weights, loaded.model->tensors());
  return loaded;
}

Drawing sample_draw(Draw& model, int64_t count, uint64_t seed) {
  if (count < 1) {
    throw std::invalid_argument(fmt::format("the count must be at least 1, got {}", count));
  }
  const at::Device device = model.tensors().front().second.device();
  return model.draw(noise_of(model.options(), count, {seed, hash_name("sample")}).to(device));
}

std::shared_ptr<const Dataset> open_held_out(const std::string& data, int64_t validation_size) {
  return split_images(open_dataset(data, Split::kTrain), validation_size).validation;
}

DrawEvaluation evaluate_draw(Draw& model, const DrawTaskOptions& options, const Dataset& dataset) {
  at::NoGradGuard no_grad;
  const at::Device device = model.tensors().front().second.device();
  Loader loader(dataset, options.transforms, {.batch_size = kEvaluationBatch});
  loader.start(0);
  DrawEvaluation sums;
  for (uint64_t number = 0; const auto batch = loader.next(); ++number) {
    const at::Tensor images = prepared(*batch, options.binarization, [&](int64_t n) {
      return Random({hash_name("measured pixels"), index_of(*batch, n)});
    });
    const at::Tensor noise =
        noise_of(options.model, images.size(0), {hash_name("measured noise"), number});
    const DrawBound bound = model.forward(images.to(device), noise.to(device));
    sums.reconstruction += bound.reconstruction.sum(at::kDouble).item<double>();
    sums.latent += bound.latent.sum(at::kDouble).item<double>();
    sums.images += images.size(0);
  }
  const auto n = static_cast<double>(sums.images);
  return {
      .images = sums.images, .reconstruction = sums.reconstruction / n, .latent = sums.latent / n};
}

}  // namespace striate
