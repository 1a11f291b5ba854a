#include "striate/training/trainer.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>
#include <stdexcept>

#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/models/models.h"
#include "striate/runtime/network.h"
#include "striate/training/evaluate.h"
#include "striate/training/losses.h"
#include "training/average.h"
#include "training/checkpoint.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kEvaluationViews = 256;  // in a batch

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

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

// The number behind "cuda:"; 0 for "cuda" alone; none for another word.
std::optional<int64_t> cuda_index(const std::string& name) {
  if (name == "cuda") return 0;
  if (!name.starts_with("cuda:")) return std::nullopt;
  const char* const end = name.data() + name.size();
  int64_t index = -1;
  const auto [rest, error] = std::from_chars(name.data() + 5, end, index);
  const bool whole = error == std::errc() && rest == end && index >= 0;
  return whole ? std::optional(index) : std::nullopt;
}

// Left to themselves CUDA's libraries may add in another order each time, so that no run repeats,
// and round the factors of float32 convolutions to 10 bits (TF32).
void keep_cuda_exact() {
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setFloat32Precision(at::Float32Backend::CUDA, at::Float32Op::CONV,
                                          at::Float32Precision::IEEE);
}

// A line reaches the disk before a checkpoint counts it.
void append_line(const fs::path& path, const std::string& line) {
  std::ofstream file(path, std::ios::app);
  file << line << '\n' << std::flush;
  if (!file) throw IoError(fmt::format("can't write {}", path.string()));
  file.close();
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor >= 0) {
    ::fsync(descriptor);
    ::close(descriptor);
  }
}

}  // namespace

Graph training_graph(const RunConfig& config) {
  Graph graph =
      build_model(config.model, {.input = config.input,
                                 .classes = static_cast<int64_t>(config.class_names.size()),
                                 .auxiliary_heads = config.recipe.loss.auxiliary_weight > 0,
                                 .final_survival = config.final_survival});
  return config.recipe.zero_init_residual ? with_zero_last_scales(std::move(graph)) : graph;
}

at::Device find_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  const std::optional<int64_t> index = cuda_index(name);
  if (!index.has_value()) {
    throw std::invalid_argument(fmt::format("\"{}\" is no device: use cpu or cuda", name));
  }
  if (!at::globalContext().hasCUDA()) {
    throw Error("this LibTorch or this machine has no CUDA",
                "use --device cpu, or set STRIATE_LIBTORCH to a CUDA build of LibTorch");
  }
  const int64_t count = at::globalContext().getAcceleratorHooksInterface(at::kCUDA).deviceCount();
  if (*index >= count) {
    throw Error(fmt::format("there is no device {}: the last is cuda:{}", name, count - 1),
                "CUDA_VISIBLE_DEVICES may hide others");
  }
  return {at::kCUDA, static_cast<at::DeviceIndex>(*index)};
}

Shape input_shape(const Dataset& dataset, const Preprocessing& preprocessing) {
  Random random({0});
  const FloatImage image = preprocessing.apply(dataset.sample(0).image, random).front();
  return {image.channels, image.height, image.width};
}

class Trainer::State {
 public:
  State(RunConfig config, TrainerOptions options)
      : config_(std::move(config)),
        options_(std::move(options)),
        folder_{options_.run},
        device_(find_device(options_.device)),
        data_(open_training_data(config_)),
        lock_(folder_.path),
        network_(training_graph(config_), config_.seed),
        loader_(*data_.training, config_.recipe.train_transforms, loader_options()),
        schedule_(config_.recipe.schedule, config_.recipe.epochs, steps_per_epoch()) {
    if (steps_per_epoch() < 1) {
      throw std::invalid_argument(fmt::format(
          "a step of {} batches of {} needs {} training images, there are {}: use a "
          "smaller accumulate or batch_size",
          config_.recipe.accumulate, loader_options().batch_size,
          config_.recipe.accumulate * loader_options().batch_size, data_.training->size()));
    }
    if (device_.is_cuda()) keep_cuda_exact();
    network_.to(device_);
    network_.set_execution({.convolution = config_.convolution, .precision = config_.precision});
    network_.set_checkpoint_stages(options_.checkpoint_stages);
    if (!config_.freeze_up_to.empty()) freeze();
    optimizer_ = std::make_unique<Optimizer>(network_, config_.recipe.optimizer);
    // The processor's is for dropped paths, whatever the device.
    for (const at::Device device : {at::Device(at::kCPU), device_}) {
      at::Generator generator = at::globalContext().defaultGenerator(device);
      generator.set_current_seed(config_.seed);
    }
  }

  void start(const Weights* initial) {
    if (fs::exists(folder_.recipe())) {
      throw IoError(fmt::format("{} holds a run already", folder_.path.string()),
                    "go on with it by --resume, or choose another folder with --out");
    }
    if (initial != nullptr) load_weights(network_, *initial);
    start_average();
    remove_partial_files(folder_.path);
    write_file_atomically(folder_.metrics(), std::string());
    save();
    // Last: with it the folder holds a run.
    write_file_atomically(folder_.recipe(), to_json(config_).dump(2) + "\n");
  }

  void resume() {
    start_average();
    remove_partial_files(folder_.path);
    remove_partial_files(folder_.checkpoint().parent_path());
    position_ = load_checkpoint(folder_.checkpoint(), parts());
    const int64_t last_epoch = config_.recipe.epochs - (position_.finished ? 0 : 1);
    if (position_.epoch < 0 || position_.epoch > last_epoch || position_.step < 0 ||
        position_.step > steps_per_epoch() || position_.metrics_bytes < 0) {
      throw FormatError(fmt::format("{}: a checkpoint at epoch {}, step {} does not fit its run",
                                    folder_.checkpoint().string(), position_.epoch,
                                    position_.step));
    }
    // Lines that were written after the checkpoint will be written again.
    const auto length = static_cast<uintmax_t>(position_.metrics_bytes);
    if (!fs::exists(folder_.metrics()) || fs::file_size(folder_.metrics()) < length) {
      throw FormatError(fmt::format("{} is shorter than the checkpoint says: {} bytes",
                                    folder_.metrics().string(), length));
    }
    fs::resize_file(folder_.metrics(), length);
  }

  void train() {
    while (!position_.finished) {
      train_epoch();
      end_epoch();
      if (stop_requested()) stop();
    }
  }

  void load_best() { load_weights(network_, read_weights(folder_.best())); }

  const RunConfig& config() const { return config_; }
  Network& network() { return network_; }

 private:
  LoaderOptions loader_options() const {
    return {.batch_size = std::min(config_.recipe.batch_size, data_.training->size()),
            .order = Order::kShuffled,
            .last_batch = LastBatch::kDrop,
            .seed = config_.seed,
            .threads = options_.loader_threads};
  }

  // Batches that do not make up a step of the optimiser are left out, as images are that do not
  // make up a batch: many small batches are the steps of few large ones.
  int64_t steps_per_epoch() const { return loader_.batch_count() / config_.recipe.accumulate; }

  CheckpointParts parts() { return {network_, *optimizer_, schedule_, average_.get()}; }

  void freeze() {
    network_.freeze_up_to(config_.freeze_up_to);
    const std::vector<at::Tensor> parameters = network_.parameters();
    if (std::ranges::none_of(parameters, [](const at::Tensor& p) { return p.requires_grad(); })) {
      throw std::invalid_argument(
          fmt::format("freezing up to {} leaves no weight to train: name an earlier layer",
                      config_.freeze_up_to));
    }
  }

  // Of the weights that the run starts from.
  void start_average() {
    const double decay = config_.recipe.average_decay;
    if (decay > 0) average_ = std::make_unique<WeightAverage>(network_, decay);
  }

  // Never saves what can't be gone on with.
  void save() {
    check_weights_are_finite();
    save_checkpoint(folder_.checkpoint(), parts(), position_);
    last_save_ = Clock::now();
    steps_since_save_ = 0;
  }

  void train_epoch() {
    const double seconds_before = position_.seconds;
    const double waited_before = position_.waited_seconds;
    const Clock::time_point start = Clock::now();
    network_.train();
    loader_.start(position_.epoch, position_.step * config_.recipe.accumulate);
    while (position_.step < steps_per_epoch()) {
      step();
      position_.seconds = seconds_before + seconds_since(start);
      position_.waited_seconds = waited_before + loader_.waited_seconds();
      if (options_.observer != nullptr) options_.observer->on_step(progress());
      save_when_due();
    }
  }

  double learning_rate(int64_t step_of_epoch) const {
    const int64_t step = position_.epoch * steps_per_epoch() + step_of_epoch;
    return config_.recipe.optimizer.learning_rate * schedule_.factor(step);
  }

  void step() {
    optimizer_->zero_gradients();
    for (int64_t i = 0; i < config_.recipe.accumulate; ++i) add_gradients(*loader_.next());
    if (config_.recipe.clip_gradient_norm > 0) {
      optimizer_->clip_gradient_norm(config_.recipe.clip_gradient_norm);
    }
    optimizer_->step(learning_rate(position_.step));
    if (average_ != nullptr) average_->update();
    ++position_.step;
    ++steps_since_save_;
  }

  // Of the mean over all images of the step: the batches are of one size.
  void add_gradients(const Batch& batch) {
    const at::Tensor images = batch.images.to(device_);
    const at::Tensor labels = batch.labels.to(device_);
    const NamedValues outputs = network_.forward(images, ForwardOptions{});
    const at::Tensor loss = losses::compute(config_.recipe.loss, outputs, labels);
    const double loss_value = loss.item<double>();
    if (!std::isfinite(loss_value)) stop_for_loss(loss_value, images);
    const int64_t parts = config_.recipe.accumulate;
    torch::autograd::backward({parts == 1 ? loss : loss / static_cast<double>(parts)}, {});

    const int64_t count = batch.labels.size(0);
    position_.loss_sum += loss_value * static_cast<double>(count);
    position_.correct += outputs.at("logits").argmax(1).eq(labels).sum().item<int64_t>();
    position_.images += count;
  }

  [[noreturn]] void stop_for_loss(double loss, const at::Tensor& images) {
    const std::string culprit = first_non_finite(network_, images);
    throw Error(
        fmt::format("the loss is {} in epoch {}, step {}: {}", loss, position_.epoch + 1,
                    position_.step + 1,
                    culprit.empty()
                        ? std::string("every layer is finite, the loss itself is not")
                        : fmt::format("the first value that is not finite is [{}]", culprit)),
        hint_of_divergence());
  }

  StepProgress progress() const {
    const auto done = static_cast<double>(position_.step);
    return {
        .epoch = position_.epoch + 1,
        .step = position_.step,
        .steps_per_epoch = steps_per_epoch(),
        .loss = position_.loss_sum / static_cast<double>(position_.images),
        .images_per_second = static_cast<double>(position_.images) / position_.seconds,
        .waited_share = position_.waited_seconds / position_.seconds,
        .seconds_left = position_.seconds / done * (static_cast<double>(steps_per_epoch()) - done)};
  }

  void check_weights_are_finite() const {
    const std::string culprit = first_non_finite_weight(network_);
    if (culprit.empty()) return;
    throw Error(fmt::format("the weight {} is not finite after epoch {}, step {}", culprit,
                            position_.epoch + 1, position_.step),
                hint_of_divergence());
  }

  std::string hint_of_divergence() const {
    return fmt::format(
        "lower the learning rate (it is {:.4g}), warm up, or clip the gradient; {} "
        "holds the last good state",
        learning_rate(position_.step), folder_.checkpoint().string());
  }

  bool stop_requested() const { return options_.stop != nullptr && options_.stop->load(); }

  [[noreturn]] void stop() {
    save();
    throw Interrupted(fmt::format("interrupted in epoch {}, step {}; the state is saved",
                                  position_.epoch + 1, position_.step),
                      fmt::format("go on with: striate train --resume {}", folder_.path.string()));
  }

  void save_when_due() {
    if (stop_requested()) stop();
    const bool steps_due =
        options_.checkpoint_steps > 0 && steps_since_save_ >= options_.checkpoint_steps;
    if (steps_due || seconds_since(last_save_) >= options_.checkpoint_seconds) save();
  }

  EpochMetrics measure_epoch() {
    const auto images = static_cast<double>(position_.images);
    EpochMetrics metrics{.epoch = position_.epoch + 1,
                         .learning_rate = learning_rate(steps_per_epoch() - 1),
                         .train_loss = position_.loss_sum / images,
                         .train_accuracy = static_cast<double>(position_.correct) / images,
                         .validation_loss = kNaN,
                         .validation_accuracy = kNaN,
                         .images_per_second = images / position_.seconds,
                         .seconds = position_.seconds,
                         .waited_seconds = position_.waited_seconds};
    if (data_.validation != nullptr) {
      Loader loader(*data_.validation, config_.recipe.eval_transforms,
                    {.batch_size = std::max<int64_t>(
                         1, kEvaluationViews / config_.recipe.eval_transforms.views()),
                     .threads = options_.loader_threads});
      const Predictions predictions = predict(network_, loader);
      metrics.validation_loss = predictions.loss;
      metrics.validation_accuracy = accuracy(predictions).top1;
    }
    return metrics;
  }

  void measure_statistics() {
    const int64_t images = config_.recipe.statistics_images;
    if (images == 0) return;
    const LoaderOptions options = loader_options();
    Loader loader(*data_.training, config_.recipe.train_transforms, options);
    striate::measure_statistics(network_, loader, (images - 1) / options.batch_size + 1);
  }

  // Measures the epoch and writes its weights: the averaged ones, if the run keeps an average.
  EpochMetrics keep_epoch() {
    const AveragedWeights averaged(average_.get());
    check_weights_are_finite();
    measure_statistics();
    const EpochMetrics metrics = measure_epoch();
    const bool measured = std::isfinite(metrics.validation_accuracy);
    if (measured) schedule_.epoch_ended(metrics.validation_accuracy);
    write_weights(folder_.last());
    if (!measured || metrics.validation_accuracy > position_.best_accuracy) {
      write_weights(folder_.best());
      position_.best_accuracy = measured ? metrics.validation_accuracy : -1;
      position_.best_epoch = position_.epoch;
    }
    const int64_t every = options_.snapshot_epochs;
    if (every > 0 && metrics.epoch % every == 0) write_weights(folder_.snapshot(metrics.epoch));
    return metrics;
  }

  // Weights, then the line of metrics, then the checkpoint that counts them: a kill in between
  // repeats the rest of the epoch and writes the same again.
  void end_epoch() {
    const EpochMetrics metrics = keep_epoch();
    append_line(folder_.metrics(), to_json(metrics).dump());

    const int64_t epoch = position_.epoch + 1;
    const int64_t patience = config_.recipe.early_stop_epochs;
    const bool gave_up = patience > 0 && epoch - position_.best_epoch > patience;
    position_ = {.epoch = epoch,
                 .best_accuracy = position_.best_accuracy,
                 .best_epoch = position_.best_epoch,
                 .metrics_bytes = static_cast<int64_t>(fs::file_size(folder_.metrics())),
                 .finished = gave_up || epoch >= config_.recipe.epochs};
    save();
    if (options_.observer != nullptr) options_.observer->on_epoch(metrics);
  }

  void write_weights(const fs::path& path) const {
    Weights weights = weights_of(network_);
    weights.metadata = to_metadata({.model = config_.model,
                                    .input = config_.input,
                                    .class_names = config_.class_names,
                                    .preprocessing = config_.recipe.eval_transforms,
                                    .final_survival = config_.final_survival});
    weights.metadata["striate.recipe"] = config_.recipe.name;
    weights.metadata["striate.data"] = config_.data;
    weights.metadata["striate.epoch"] = std::to_string(position_.epoch + 1);
    write_safetensors(weights, path);
  }

  const RunConfig config_;
  const TrainerOptions options_;
  const RunFolder folder_;
  const at::Device device_;
  const TrainingData data_;
  const FolderLock lock_;
  Network network_;
  Loader loader_;
  Schedule schedule_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<WeightAverage> average_;  // null: the recipe asks for none
  Position position_;
  Clock::time_point last_save_ = Clock::now();
  int64_t steps_since_save_ = 0;
};

Trainer::Trainer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer::~Trainer() = default;

Trainer Trainer::start(const RunConfig& config, const TrainerOptions& options,
                       const Weights* initial) {
  auto state = std::make_unique<State>(config, options);
  state->start(initial);
  return Trainer(std::move(state));
}

Trainer Trainer::resume(const TrainerOptions& options) {
  const RunFolder folder{options.run};
  if (!fs::exists(folder.recipe()) || !fs::exists(folder.checkpoint())) {
    throw IoError(fmt::format("{} holds no run that can be resumed", options.run.string()),
                  "a run's folder holds recipe.json and state/checkpoint.safetensors");
  }
  auto state = std::make_unique<State>(
      run_config_from_json(read_json(folder.recipe()), folder.recipe().string()), options);
  state->resume();
  return Trainer(std::move(state));
}

const RunConfig& Trainer::config() const {
  return state_->config();
}
Network& Trainer::network() {
  return state_->network();
}
void Trainer::train() {
  state_->train();
}
void Trainer::load_best() {
  state_->load_best();
}

}  // namespace striate
