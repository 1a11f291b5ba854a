#pragma once

#include <string>

#include "striate/report/run_report.h"
#include "striate/training/evaluate.h"
#include "striate/training/run.h"

namespace striate::cli {

struct DataOptions {
  std::string spelling;
  Split split = Split::kTest;
  int64_t limit = 0;  ///< only the first images; 0: all
};

/// Opens a data set, cut to its limit.
std::shared_ptr<const Dataset> open_data(const DataOptions& options);

/// Runs a network over a data set with its progress shown.
Predictions predict_data(Network& network, const Dataset& dataset,
                         const Preprocessing& preprocessing);

/// A run's epochs for its page.
std::vector<EpochRecord> epoch_records(const RunFolder& folder);

Json to_json(const Accuracy& accuracy);
/// The accuracy and the loss.
Json result_of(const Predictions& predictions);

/// What a run's page says of its result.
struct RunResult {
  const RunFolder& folder;
  const RunConfig& config;
  const Network& network;
  const Dataset& test_data;
  const Predictions& predictions;  ///< of the test data
};

/// Writes the run's report.html.
void write_report(const RunResult& result);

}  // namespace striate::cli
