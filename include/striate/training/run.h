#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "striate/graph/graph.h"
#include "striate/runtime/execution.h"
#include "striate/runtime/weights.h"
#include "striate/training/recipe.h"

namespace striate {

/// Everything that decides what a run does. Written into the run as recipe.json.
struct RunConfig {
  std::string model;
  Shape input;  ///< (C, H, W)
  std::vector<std::string> class_names;
  std::string data;             ///< a data set's spelling
  std::string initial_weights;  ///< the file that training started from; "" for none
  int64_t limit = 0;            ///< only so many training images; 0: all
  double final_survival = 0;    ///< as in ModelOptions
  std::string freeze_up_to;     ///< a node: the weights up to it do not change; "": all are trained
  uint64_t seed = 1;
  /// Part of the run, as another algorithm rounds otherwise.
  ConvolutionAlgorithm convolution = ConvolutionAlgorithm::kAuto;
  /// Of training and of the validation in it.
  Precision precision = Precision::kFloat32;
  Recipe recipe;
};

Json to_json(const RunConfig& config);
RunConfig run_config_from_json(const Json& json, const std::string& where);

/// One line of metrics.jsonl. Accuracies lie in [0, 1]; what was not measured is NaN (null).
struct EpochMetrics {
  int64_t epoch = 0;  ///< from 1
  double learning_rate = 0;
  double train_loss = 0;
  double train_accuracy = 0;
  double validation_loss = 0;
  double validation_accuracy = 0;
  double items_per_second = 0;  ///< images; characters or words of a text
  double seconds = 0;
  double waited_seconds = 0;  ///< of these, for data
};

Json to_json(const EpochMetrics& metrics);
/// @throws IoError, FormatError.
std::vector<EpochMetrics> read_metrics(const std::filesystem::path& path);

/// The files of a run.
struct RunFolder {
  std::filesystem::path path;

  std::filesystem::path recipe() const { return path / "recipe.json"; }
  std::filesystem::path metrics() const { return path / "metrics.jsonl"; }
  std::filesystem::path last() const { return path / "last.safetensors"; }
  std::filesystem::path best() const { return path / "best.safetensors"; }
  std::filesystem::path checkpoint() const { return path / "state" / "checkpoint.safetensors"; }
  /// The weights after an epoch (from 1), where a run keeps them.
  std::filesystem::path snapshot(int64_t epoch) const;
  std::filesystem::path report() const { return path / "report.html"; }
};

/// What a weight file says about itself, so that it can be used without anything else.
struct WeightsCard {
  std::string model;
  Shape input;
  std::vector<std::string> class_names;
  Preprocessing preprocessing;
  double final_survival = 0;  ///< as in ModelOptions
};

std::map<std::string, std::string> to_metadata(const WeightsCard& card);
/// An empty `model` when the file does not say. @throws FormatError  what it says is damaged.
WeightsCard card_from_metadata(const std::map<std::string, std::string>& metadata,
                               const std::string& origin);

}  // namespace striate
