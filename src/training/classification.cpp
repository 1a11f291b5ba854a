#include "striate/training/classification.h"

#include <ATen/TensorOperators.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "striate/base/error.h"
#include "striate/models/models.h"
#include "striate/runtime/network.h"
#include "striate/training/evaluate.h"
#include "striate/training/losses.h"

namespace striate {

namespace {

constexpr int64_t kEvaluationViews = 256;  // in a batch

// The training images that a run uses, and those it holds out.
struct TrainingData {
  std::shared_ptr<const Dataset> training;
  std::shared_ptr<const Dataset> validation;  // may be null
};

TrainingData open_training_data(const RunConfig& config) {
  std::shared_ptr<const Dataset> all = open_dataset(config.data, Split::kTrain);
  if (all->class_names() != config.class_names) {
    throw FormatError(
        fmt::format("{} has other classes than when the run began: {} now, {} then", config.data,
                    all->class_names().size(), config.class_names.size()),
        "bring back the classes that the run's recipe.json lists");
  }
  if (config.limit > 0 && config.limit < all->size()) {
    all = subset(all, hold_out(all->size(), config.limit, config.seed).validation);
  }
  if (config.recipe.validation_size == 0) return {all, nullptr};
  // Of the same images the same are held out whatever the seed, so that runs can be compared.
  const HeldOut parts = hold_out(all->size(), config.recipe.validation_size, 0);
  return {subset(all, parts.training), subset(all, parts.validation)};
}

class Classification final : public Task {
 public:
  Classification(const RunConfig& config, const TrainerOptions& options)
      : config_(config),
        threads_(options.loader_threads),
        device_(find_device(options.device)),
        data_(open_training_data(config_)),
        network_(training_graph(config_), config_.seed),
        loader_(*data_.training, config_.recipe.train_transforms, loader_options()) {
    if (batches_per_epoch() < config_.recipe.accumulate) {
      throw std::invalid_argument(fmt::format(
          "a step of {} batches of {} needs {} training images, there are {}: use a "
          "smaller accumulate or batch_size",
          config_.recipe.accumulate, loader_options().batch_size,
          config_.recipe.accumulate * loader_options().batch_size, data_.training->size()));
    }
    network_.to(device_);
    network_.set_execution({.convolution = config_.convolution, .precision = config_.precision});
    network_.set_checkpoint_stages(options.checkpoint_stages);
    if (!config_.freeze_up_to.empty()) freeze();
  }

  Network& network() { return network_; }

  const NamedTensors& tensors() const override { return network_.tensors(); }
  void load(const Weights& weights) override { load_weights(network_, weights); }
  std::string unit() const override { return "images"; }

  std::map<std::string, std::string> metadata() const override {
    return to_metadata({.model = config_.model,
                        .input = config_.input,
                        .class_names = config_.class_names,
                        .preprocessing = config_.recipe.eval_transforms,
                        .final_survival = config_.final_survival});
  }

  int64_t batches_per_epoch() const override { return loader_.batch_count(); }
  double waited_seconds() const override { return loader_.waited_seconds(); }

  void start_epoch(const EpochStart& start) override {
    network_.train();
    loader_.start(start.epoch, start.batch);
  }

  BatchResult add_gradients(double scale) override {
    const Batch batch = *loader_.next();
    images_ = batch.images.to(device_);
    const at::Tensor labels = batch.labels.to(device_);
    const NamedValues outputs = network_.forward(images_, ForwardOptions{});
    const at::Tensor loss = losses::compute(config_.recipe.loss, outputs, labels);
    BatchResult result{.loss = loss.item<double>(), .items = batch.labels.size(0)};
    if (!std::isfinite(result.loss)) return result;
    torch::autograd::backward({scale == 1 ? loss : loss * scale}, {});
    result.correct = outputs.at("logits").argmax(1).eq(labels).sum().item<int64_t>();
    return result;
  }

  std::string first_non_finite() override { return striate::first_non_finite(network_, images_); }

  Validation validate() override {
    measure_statistics();
    if (data_.validation == nullptr) return {};
    Loader loader(*data_.validation, config_.recipe.eval_transforms,
                  {.batch_size = std::max<int64_t>(
                       1, kEvaluationViews / config_.recipe.eval_transforms.views()),
                   .threads = threads_});
    const Predictions predictions = predict(network_, loader);
    const double top1 = accuracy(predictions).top1;
    return {.loss = predictions.loss, .accuracy = top1, .score = top1};
  }

 private:
  LoaderOptions loader_options() const {
    return {.batch_size = std::min(config_.recipe.batch_size, data_.training->size()),
            .order = Order::kShuffled,
            .last_batch = LastBatch::kDrop,
            .seed = config_.seed,
            .threads = threads_};
  }

  void freeze() {
    network_.freeze_up_to(config_.freeze_up_to);
    const std::vector<at::Tensor> parameters = network_.parameters();
    if (std::ranges::none_of(parameters, [](const at::Tensor& p) { return p.requires_grad(); })) {
      throw std::invalid_argument(
          fmt::format("freezing up to {} leaves no weight to train: name an earlier layer",
                      config_.freeze_up_to));
    }
  }

  void measure_statistics() {
    const int64_t images = config_.recipe.statistics_images;
    if (images == 0) return;
    const LoaderOptions options = loader_options();
    Loader loader(*data_.training, config_.recipe.train_transforms, options);
    striate::measure_statistics(network_, loader, (images - 1) / options.batch_size + 1);
  }

  const RunConfig config_;
  const int threads_;
  const at::Device device_;
  const TrainingData data_;
  Network network_;
  Loader loader_;
  at::Tensor images_;  // of the last batch
};

}  // namespace

std::unique_ptr<Task> make_classification(const RunConfig& config, const TrainerOptions& options) {
  return std::make_unique<Classification>(config, options);
}

Network& network_of(Trainer& trainer) {
  auto* task = dynamic_cast<Classification*>(&trainer.task());
  if (task == nullptr) throw std::logic_error("this run trains no classification network");
  return task->network();
}

Graph training_graph(const RunConfig& config) {
  Graph graph =
      build_model(config.model, {.input = config.input,
                                 .classes = static_cast<int64_t>(config.class_names.size()),
                                 .auxiliary_heads = config.recipe.loss.auxiliary_weight > 0,
                                 .final_survival = config.final_survival});
  return config.recipe.zero_init_residual ? with_zero_last_scales(std::move(graph)) : graph;
}

Shape input_shape(const Dataset& dataset, const Preprocessing& preprocessing) {
  Random random({0});
  const FloatImage image = preprocessing.apply(dataset.sample(0).image, random).front();
  return {image.channels, image.height, image.width};
}

}  // namespace striate
