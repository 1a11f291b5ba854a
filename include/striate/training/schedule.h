#pragma once

#include <limits>

#include "striate/base/json.h"
#include "striate/training/recipe.h"

namespace striate {

/// The learning rate over a run. All kinds but plateau are functions of the step alone.
class Schedule {
 public:
  Schedule(ScheduleOptions options, int64_t epochs, int64_t steps_per_epoch);

  /// What the base rate is multiplied by at a step (from 0, over the whole run).
  double factor(int64_t step) const;
  /// Plateau: divides when the score has not risen for `patience` epochs.
  void epoch_ended(double score);

  Json state() const;
  void load_state(const Json& state);

 private:
  ScheduleOptions options_;
  double warmup_steps_;
  int64_t total_steps_;
  int64_t steps_per_epoch_;
  // Plateau.
  double plateau_factor_ = 1;
  double best_score_ = -std::numeric_limits<double>::infinity();
  int64_t epochs_since_best_ = 0;
};

}  // namespace striate
