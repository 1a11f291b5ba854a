#pragma once

#include <filesystem>
#include <vector>

#include "cli/training_options.h"
#include "striate/training/evaluate.h"

namespace striate::cli {

/// A run that has been trained to its end.
struct FinishedRun {
  Json result;       ///< what was measured
  Predictions test;  ///< of the test images, by the best weights
};

/// Begins a run, from weights where its configuration names some, and says so.
Trainer start_run(const RunConfig& config, const TrainerOptions& options);

/// Trains to the end, where Ctrl-C stops and saves, and takes the best weights.
void train_to_the_end(Trainer& trainer);
/// Does so, evaluates them on the test images once, and writes the report.
FinishedRun finish_run(Trainer& trainer, const std::filesystem::path& run);

/// The result of a run in words.
std::string describe_result(const Json& result);

struct PlannedRun {
  RunConfig config;
  std::filesystem::path folder;
};
/// Trains runs one after the other. Those whose folders exist are gone on with; finished ones are
/// only evaluated.
/// @throws UsageError  a folder holds a run with other settings; nothing is trained then.
std::vector<FinishedRun> train_all(const std::vector<PlannedRun>& runs, const TrainingFlags& flags);

}  // namespace striate::cli
