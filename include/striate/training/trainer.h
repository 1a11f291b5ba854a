#pragma once

#include <c10/core/Device.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/training/run.h"
#include "striate/training/task.h"

namespace striate {

/// The run was asked to stop. It has saved its state and can be resumed.
class Interrupted : public Error {
  using Error::Error;
};

/// What a step of training tells an observer.
struct StepProgress {
  int64_t epoch = 0;  ///< from 1
  int64_t step = 0;   ///< in the epoch, from 1
  int64_t steps_per_epoch = 0;
  double loss = 0;  ///< mean over the epoch so far
  double items_per_second = 0;
  std::string unit;         ///< what an item is, as "images"
  double waited_share = 0;  ///< of the epoch's time, for data; in [0, 1]
  double seconds_left = 0;  ///< of the epoch
};

class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  virtual void on_step(const StepProgress&) {}
  virtual void on_epoch(const EpochMetrics&) {}
};

/// The usual task: a network of the registry learns to tell classes of images.
/// @throws whatever opening the data throws; std::invalid_argument  too few images for a step, or
/// nothing left to train.
std::unique_ptr<Task> make_classification(const RunConfig& config, const TrainerOptions& options);

struct TrainerOptions {
  std::filesystem::path run;
  MakeTask make_task = make_classification;
  int loader_threads = 1;
  std::string device = "cpu";
  /// Parts of the network that are computed again in the backward pass instead of being kept, as
  /// `Network::set_checkpoint_stages`. No part of the run: its numbers stay the same, to the bit.
  std::vector<std::string> checkpoint_stages = {};
  /// Saves the state at the end of every epoch, and during one when so much time has passed …
  double checkpoint_seconds = 60;
  /// … or so many steps; 0: by time only.
  int64_t checkpoint_steps = 0;
  /// Keeps the weights of every so many epochs; 0: those of the last and the best only.
  int64_t snapshot_epochs = 0;
  /// When this becomes true the run saves its state and throws `Interrupted`.
  const std::atomic<bool>* stop = nullptr;
  TrainingObserver* observer = nullptr;
};

/// Trains by a recipe, in a run folder.
class Trainer {
 public:
  /// Starts a run. Where `initial` is not null, training starts from these weights.
  /// @throws IoError  the folder holds a run already; whatever opening the data throws.
  static Trainer start(const RunConfig& config, const TrainerOptions& options,
                       const Weights* initial = nullptr);
  /// Goes on with a run from its last saved state. The final weights are bit for bit those of an
  /// undisturbed run, as long as the number of compute threads is the same.
  /// @throws IoError, FormatError  the folder holds no run, or a damaged one.
  static Trainer resume(const TrainerOptions& options);
  Trainer(Trainer&&) noexcept;
  ~Trainer();

  const RunConfig& config() const;
  Task& task();
  /// Trains to the end. @throws Interrupted; Error  the loss is not finite, naming the layer.
  void train();
  /// The best epoch's weights on the held-out images or, where none were held out, the last's.
  void load_best();

 private:
  class State;
  explicit Trainer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// "cpu", "cuda" (the first one) or "cuda:1". @throws std::invalid_argument  another word; Error
/// this LibTorch or this machine has no CUDA, or not so many devices.
at::Device find_device(const std::string& name);

}  // namespace striate
