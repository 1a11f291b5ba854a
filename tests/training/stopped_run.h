#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <vector>

#include "striate/base/file.h"
#include "striate/training/trainer.h"

namespace striate {

/// Stops after so many steps, as a user would.
class Stopper final : public TrainingObserver {
 public:
  explicit Stopper(int64_t steps) : steps_left_(steps) {}
  void on_step(const StepProgress&) override {
    if (--steps_left_ == 0) stop = true;
  }
  void on_epoch(const EpochMetrics& metrics) override { epochs.push_back(metrics); }

  std::atomic<bool> stop{false};
  std::vector<EpochMetrics> epochs;

 private:
  int64_t steps_left_;
};

/// Their weights to the byte, and what was measured of each epoch, but for the time.
inline void expect_equal_runs(const std::filesystem::path& a, const std::filesystem::path& b) {
  for (const char* file : {"last.safetensors", "best.safetensors"}) {
    EXPECT_EQ(read_file(a / file), read_file(b / file)) << file;
  }
  const auto epochs = read_metrics(a / "metrics.jsonl");
  const auto others = read_metrics(b / "metrics.jsonl");
  ASSERT_EQ(epochs.size(), others.size());
  for (size_t i = 0; i < epochs.size(); ++i) {
    EXPECT_EQ(epochs[i].train_loss, others[i].train_loss);
    EXPECT_EQ(to_json(epochs[i])["validation_loss"], to_json(others[i])["validation_loss"]);
    EXPECT_EQ(to_json(epochs[i])["validation_accuracy"], to_json(others[i])["validation_accuracy"]);
  }
}

/// A run that is stopped after so many steps and resumed, again and again, ends as an unbroken one.
inline void expect_a_stopped_run_goes_on(const RunConfig& config, const MakeTask& make_task,
                                         const std::filesystem::path& folder,
                                         const std::vector<int64_t>& steps) {
  const auto options = [&](const char* run) {
    return TrainerOptions{.run = folder / run, .make_task = make_task};
  };
  Trainer::start(config, options("whole")).train();
  bool first = true;
  for (const int64_t count : steps) {
    Stopper stopper(count);
    TrainerOptions o = options("stopped");
    o.stop = &stopper.stop;
    o.observer = &stopper;
    Trainer trainer = first ? Trainer::start(config, o) : Trainer::resume(o);
    first = false;
    EXPECT_THROW(trainer.train(), Interrupted);
  }
  Trainer::resume(options("stopped")).train();
  expect_equal_runs(folder / "whole", folder / "stopped");
  std::filesystem::remove_all(folder / "whole");
  std::filesystem::remove_all(folder / "stopped");
}

}  // namespace striate
