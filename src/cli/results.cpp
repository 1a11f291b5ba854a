#include "cli/results.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <numeric>

#include "cli/progress.h"
#include "striate/base/file.h"
#include "striate/base/text.h"
#include "striate/graph/analysis.h"
#include "striate/runtime/network.h"

namespace striate::cli {

namespace {

constexpr int64_t kMistakesShown = 24;
constexpr int64_t kEvaluationBatch = 128;

std::vector<Mistake> mistakes(const RunResult& result) {
  const auto& names = result.config.class_names;
  std::vector<Mistake> shown;
  for (const int64_t index : most_confident_mistakes(result.predictions, kMistakesShown)) {
    const auto [confidence, predicted] = result.predictions.probabilities[index].max(0);
    Sample sample = result.test_data.sample(index);
    shown.push_back({.image = std::move(sample.image),
                     .truth = names.at(static_cast<size_t>(sample.label)),
                     .predicted = names.at(static_cast<size_t>(predicted.item<int64_t>())),
                     .confidence = confidence.item<double>()});
  }
  return shown;
}

}  // namespace

std::shared_ptr<const Dataset> open_data(const DataOptions& options) {
  std::shared_ptr<const Dataset> data = open_dataset(options.spelling, options.split);
  if (options.limit <= 0 || options.limit >= data->size()) return data;
  std::vector<int64_t> first(static_cast<size_t>(options.limit));
  std::iota(first.begin(), first.end(), int64_t{0});
  return subset(data, std::move(first));
}

std::vector<EpochRecord> epoch_records(const RunFolder& folder) {
  std::vector<EpochRecord> records;
  for (const EpochMetrics& m : read_metrics(folder.metrics())) {
    records.push_back({.epoch = m.epoch,
                       .learning_rate = m.learning_rate,
                       .train_loss = m.train_loss,
                       .train_accuracy = m.train_accuracy,
                       .validation_loss = m.validation_loss,
                       .validation_accuracy = m.validation_accuracy,
                       .seconds = m.seconds});
  }
  return records;
}

Predictions predict_data(Network& network, const Dataset& dataset,
                         const Preprocessing& preprocessing) {
  const int64_t batch = std::max<int64_t>(1, kEvaluationBatch / preprocessing.views());
  Loader loader(dataset, preprocessing, {.batch_size = batch});
  return predict(network, loader, counting_progress("evaluating", dataset.size()));
}

Json to_json(const Accuracy& a) {
  return {{"images", a.images}, {"correct", a.correct}, {"top1", a.top1}, {"top5", a.top5}};
}

Json result_of(const Predictions& predictions) {
  Json json = to_json(accuracy(predictions));
  json["loss"] = predictions.loss;
  return json;
}

void write_report(const RunResult& result) {
  const RunConfig& config = result.config;
  const std::vector<EpochRecord> epochs = epoch_records(result.folder);
  double seconds = 0;
  for (const EpochRecord& epoch : epochs) seconds += epoch.seconds;

  RunReport report;
  report.title = fmt::format("{} on {}", config.model, config.data);
  report.facts = {
      {"Model", config.model},
      {"Input", to_string(config.input)},
      {"Parameters", with_thousands(parameter_count(result.network.graph()))},
      {"Multiply-adds per image", with_thousands(multiply_adds(result.network.graph()))},
      {"Data", config.data},
      {"Recipe", config.recipe.name},
      {"Batch size", std::to_string(config.recipe.batch_size)},
      {"Epochs", std::to_string(epochs.size())},
      {"Held out for validation", std::to_string(config.recipe.validation_size)},
      {"Seed", std::to_string(config.seed)},
      {"Training time", duration(seconds)},
      {"Compute threads", std::to_string(at::get_num_threads())}};
  report.epochs = epochs;
  report.evaluated_on = config.data + ", test images";
  report.class_names = config.class_names;
  report.confusion = confusion_matrix(result.predictions);
  report.mistakes = mistakes(result);
  write_file_atomically(result.folder.report(), run_report_html(report));
}

}  // namespace striate::cli
