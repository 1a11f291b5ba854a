#pragma once

#include <filesystem>
#include <limits>

#include "striate/base/json.h"
#include "striate/training/optimizer.h"
#include "striate/training/schedule.h"
#include "training/average.h"

namespace striate {

/// Where a run stands between two steps.
struct Position {
  int64_t epoch = 0;  ///< from 0
  int64_t step = 0;   ///< next batch of the epoch, from 0
  // Of the epoch so far.
  double loss_sum = 0;
  int64_t correct = 0;
  int64_t items = 0;
  double seconds = 0;
  double waited_seconds = 0;
  std::map<std::string, at::Tensor> carried = {};  ///< as Task::carried
  // Of the run so far.
  double best_score = -std::numeric_limits<double>::infinity();
  int64_t best_epoch = -1;
  int64_t metrics_bytes = 0;  ///< length of metrics.jsonl
  bool finished = false;
};

/// The parts of a run that a checkpoint saves and restores, beside its position.
struct CheckpointParts {
  const NamedTensors& tensors;  ///< all weights
  Optimizer& optimizer;
  Schedule& schedule;
  WeightAverage* average = nullptr;  ///< null: the run keeps none
};

/// Saves everything in one file, so that no kill can leave two that do not match.
void save_checkpoint(const std::filesystem::path& path, const CheckpointParts& parts,
                     const Position& position);
/// @throws IoError, FormatError.
Position load_checkpoint(const std::filesystem::path& path, const CheckpointParts& parts);

}  // namespace striate
