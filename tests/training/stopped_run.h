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

}  // namespace striate
