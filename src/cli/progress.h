#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "striate/training/trainer.h"

namespace striate::cli {

/// Shows a training on the standard error: one bar that stays in its line on a terminal, a line
/// for each epoch otherwise.
class TrainingProgress final : public TrainingObserver {
 public:
  TrainingProgress();
  void on_step(const StepProgress& progress) override;
  void on_epoch(const EpochMetrics& metrics) override;

 private:
  void clear_line();

  bool terminal_;
  std::string unit_;  // of what is counted
  std::chrono::steady_clock::time_point last_shown_;
};

/// Counts images on the standard error while it is a terminal.
std::function<void(int64_t)> counting_progress(const std::string& what, int64_t total);

/// "1:02:03" or "2:03".
std::string duration(double seconds);

}  // namespace striate::cli
