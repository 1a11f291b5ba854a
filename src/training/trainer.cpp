#include "striate/training/trainer.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <fstream>
#include <optional>
#include <stdexcept>

#include "striate/base/error.h"
#include "striate/base/file.h"
#include "training/average.h"
#include "training/checkpoint.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
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

class Trainer::State {
 public:
  State(RunConfig config, TrainerOptions options)
      : config_(std::move(config)),
        options_(std::move(options)),
        folder_{options_.run},
        device_(find_device(options_.device)),
        task_(options_.make_task(config_, options_)),
        lock_(folder_.path),
        schedule_(config_.recipe.schedule, config_.recipe.epochs, steps_per_epoch()),
        optimizer_(task_->tensors(), config_.recipe.optimizer) {
    if (device_.is_cuda()) keep_cuda_exact();
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
    if (initial != nullptr) task_->load(*initial);
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

  void load_best() { task_->load(read_weights(folder_.best())); }

  const RunConfig& config() const { return config_; }
  Task& task() { return *task_; }

 private:
  // Batches that do not make up a step of the optimiser are left out, as images are that do not
  // make up a batch: many small batches are the steps of few large ones.
  int64_t steps_per_epoch() const { return task_->batches_per_epoch() / config_.recipe.accumulate; }

  CheckpointParts parts() { return {task_->tensors(), optimizer_, schedule_, average_.get()}; }

  // Of the weights that the run starts from.
  void start_average() {
    const double decay = config_.recipe.average_decay;
    if (decay > 0) average_ = std::make_unique<WeightAverage>(task_->tensors(), decay);
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
    task_->start_epoch({.epoch = position_.epoch,
                        .batch = position_.step * config_.recipe.accumulate,
                        .carried = position_.carried});
    while (position_.step < steps_per_epoch()) {
      step();
      position_.seconds = seconds_before + seconds_since(start);
      position_.waited_seconds = waited_before + task_->waited_seconds();
      if (options_.observer != nullptr) options_.observer->on_step(progress());
      save_when_due();
    }
  }

  double learning_rate(int64_t step_of_epoch) const {
    const int64_t step = position_.epoch * steps_per_epoch() + step_of_epoch;
    return config_.recipe.optimizer.learning_rate * schedule_.factor(step);
  }

  void step() {
    optimizer_.zero_gradients();
    for (int64_t i = 0; i < config_.recipe.accumulate; ++i) add_gradients();
    if (config_.recipe.clip_gradient_norm > 0) {
      optimizer_.clip_gradient_norm(config_.recipe.clip_gradient_norm);
    }
    optimizer_.step(learning_rate(position_.step));
    if (average_ != nullptr) average_->update();
    position_.carried = task_->carried();
    ++position_.step;
    ++steps_since_save_;
  }

  // Of the mean over all items of the step: the batches are of one size.
  void add_gradients() {
    const BatchResult batch =
        task_->add_gradients(1 / static_cast<double>(config_.recipe.accumulate));
    if (!std::isfinite(batch.loss)) stop_for_loss(batch.loss);
    position_.loss_sum += batch.loss * static_cast<double>(batch.items);
    position_.correct += batch.correct;
    position_.items += batch.items;
  }

  [[noreturn]] void stop_for_loss(double loss) {
    const std::string culprit = task_->first_non_finite();
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
        .loss = position_.loss_sum / static_cast<double>(position_.items),
        .items_per_second = static_cast<double>(position_.items) / position_.seconds,
        .unit = task_->unit(),
        .waited_share = position_.waited_seconds / position_.seconds,
        .seconds_left = position_.seconds / done * (static_cast<double>(steps_per_epoch()) - done)};
  }

  void check_weights_are_finite() const {
    const std::string culprit = first_non_finite_weight(task_->tensors());
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

  EpochMetrics epoch_metrics(const Validation& validation) const {
    const auto items = static_cast<double>(position_.items);
    return {.epoch = position_.epoch + 1,
            .learning_rate = learning_rate(steps_per_epoch() - 1),
            .train_loss = position_.loss_sum / items,
            .train_accuracy = task_->counts_correct()
                                  ? static_cast<double>(position_.correct) / items
                                  : std::nan(""),
            .validation_loss = validation.loss,
            .validation_accuracy = validation.accuracy,
            .items_per_second = items / position_.seconds,
            .seconds = position_.seconds,
            .waited_seconds = position_.waited_seconds};
  }

  // Measures the epoch and writes its weights: the averaged ones, if the run keeps an average.
  EpochMetrics keep_epoch() {
    const AveragedWeights averaged(average_.get());
    check_weights_are_finite();
    const Validation validation = task_->validate();
    const EpochMetrics metrics = epoch_metrics(validation);
    const bool measured = std::isfinite(validation.score);
    if (measured) schedule_.epoch_ended(validation.score);
    write_weights(folder_.last());
    if (!measured || validation.score > position_.best_score) {
      write_weights(folder_.best());
      position_.best_score = measured ? validation.score : Position{}.best_score;
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
                 .best_score = position_.best_score,
                 .best_epoch = position_.best_epoch,
                 .metrics_bytes = static_cast<int64_t>(fs::file_size(folder_.metrics())),
                 .finished = gave_up || epoch >= config_.recipe.epochs};
    save();
    if (options_.observer != nullptr) options_.observer->on_epoch(metrics);
  }

  void write_weights(const fs::path& path) const {
    Weights weights{.tensors = {task_->tensors().begin(), task_->tensors().end()},
                    .metadata = task_->metadata()};
    weights.metadata["striate.recipe"] = config_.recipe.name;
    weights.metadata["striate.data"] = config_.data;
    weights.metadata["striate.epoch"] = std::to_string(position_.epoch + 1);
    write_safetensors(weights, path);
  }

  const RunConfig config_;
  const TrainerOptions options_;
  const RunFolder folder_;
  const at::Device device_;
  const std::unique_ptr<Task> task_;
  const FolderLock lock_;
  Schedule schedule_;
  Optimizer optimizer_;
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
Task& Trainer::task() {
  return state_->task();
}
void Trainer::train() {
  state_->train();
}
void Trainer::load_best() {
  state_->load_best();
}

}  // namespace striate
