#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "striate/training/trainer.h"

namespace striate::cli {

/// The flags that decide how something is trained, shared by `train` and `compare`.
struct TrainingFlags {
  std::string data;
  std::string recipe;
  std::vector<std::string> settings;
  int64_t epochs = 0;
  int64_t batch_size = 0;
  int64_t accumulate = 0;                       ///< 0: the recipe's
  std::optional<uint64_t> seed = std::nullopt;  ///< absent: 1
  int64_t limit = 0;
  double final_survival = 0;  ///< 0: the network's own
  std::string freeze_up_to;
  std::string convolution;  ///< "": auto
  std::string precision;    ///< "": float32
  std::string encoder;      ///< captions: the network that looks at images
  std::string attention;    ///< captions: soft or hard; "": the recipe's
  bool lenient = false;     ///< detectors: leave out wrong objects
  std::string device = "cpu";
  int loader_threads = 1;
  double checkpoint_seconds = 60;
  int64_t checkpoint_steps = 0;
  int64_t snapshot_epochs = 0;
  std::vector<std::string> checkpoint_stages;
};

/// --checkpoint-stages, as `Network::set_checkpoint_stages` takes them.
void add_stages_flag(CLI::App& command, std::vector<std::string>& stages);
void add_training_flags(CLI::App& command, TrainingFlags& flags);

/// A recipe (named, or else the usual one), changed by the flags.
Recipe resolve_recipe(const std::string& usual, const TrainingFlags& flags);

/// The whole configuration of a run: the recipe (named, or the model's own), then the flags, with
/// the pixels' mean and deviation measured and the input's shape found.
/// @throws UsageError, Error  what the run would fail with: nothing is trained or written before.
RunConfig resolve(const std::string& model, const TrainingFlags& flags);

TrainerOptions trainer_options(const std::filesystem::path& run, const TrainingFlags& flags,
                               TrainingObserver& observer);

struct ParameterCounts {
  int64_t trained = 0;
  int64_t frozen = 0;
};
/// @throws LookupError  the network has no node to freeze up to (the message gives the nearest).
ParameterCounts count_parameters(const RunConfig& config);

}  // namespace striate::cli
