#include "cli/runs.h"

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/fine_tuning.h"
#include "cli/model_kind.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "striate/base/text.h"
#include "striate/training/classification.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

std::string describe_start(const RunConfig& config, const fs::path& run) {
  const ParameterCounts counts = count_parameters(config);
  std::string text = fmt::format("training {} on {} {} by recipe {}, {} epochs, into {}\n",
                                 config.model, config.data, to_string(config.input),
                                 config.recipe.name, config.recipe.epochs, run.string());
  text += fmt::format("{} parameters are trained", with_thousands(counts.trained));
  if (counts.frozen == 0) return text;
  return text + fmt::format(", {} up to {} are frozen", with_thousands(counts.frozen),
                            config.freeze_up_to);
}

bool exists(const PlannedRun& run) {
  return fs::exists(RunFolder{run.folder}.recipe());
}

void check_same_settings(const PlannedRun& run) {
  const fs::path recipe = RunFolder{run.folder}.recipe();
  if (to_json(run.config) == to_json(run_config_from_json(read_json(recipe), recipe.string()))) {
    return;
  }
  throw UsageError(fmt::format("{} holds a run with other settings", run.folder.string()),
                   "compare the flags with its recipe.json, or choose another --out");
}

FinishedRun train_or_go_on(const PlannedRun& run, const TrainingFlags& flags) {
  TrainingProgress progress;
  const TrainerOptions options = trainer_options(run.folder, flags, progress);
  if (exists(run)) {
    note(fmt::format("going on with {} in {}", run.config.model, run.folder.string()));
    Trainer trainer = Trainer::resume(options);
    return finish_run(trainer, run.folder);
  }
  Trainer trainer = start_run(run.config, options);
  return finish_run(trainer, run.folder);
}

// The best epoch, how many there were, and their time.
Json describe_epochs(const RunFolder& folder, const RunConfig& config) {
  const std::vector<EpochMetrics> metrics = read_metrics(folder.metrics());
  const EpochMetrics* best = &metrics.front();  // the first of equals, as it was kept
  double seconds = 0;
  for (const EpochMetrics& epoch : metrics) {
    if (epoch.validation_accuracy > best->validation_accuracy) best = &epoch;
    seconds += epoch.seconds;
  }
  Json json = {{"epochs", metrics.size()}, {"seconds", seconds}};
  if (config.recipe.validation_size > 0) {
    json["best_epoch"] = best->epoch;
    json["validation_accuracy"] = best->validation_accuracy;
  }
  return json;
}

}  // namespace

Trainer start_run(const RunConfig& config, const TrainerOptions& options) {
  const ModelKind* const kind = kind_of_model(config.model);
  if (kind != nullptr) return start_run(*kind, config, options);
  note(describe_start(config, options.run));
  if (config.initial_weights.empty()) return Trainer::start(config, options);
  const Weights initial = initial_weights(config);
  return Trainer::start(config, options, &initial);
}

void train_to_the_end(Trainer& trainer) {
  {
    const InterruptGuard guard;
    trainer.train();
  }
  trainer.load_best();
}

FinishedRun finish_run(Trainer& trainer, const fs::path& run) {
  train_to_the_end(trainer);
  const RunFolder folder{run};
  const RunConfig& config = trainer.config();
  const auto test = open_data({.spelling = config.data, .split = Split::kTest});
  FinishedRun finished{
      .result = {{"model", config.model}, {"data", config.data}, {"run", run.string()}},
      .test = predict_data(network_of(trainer), *test, config.recipe.eval_transforms)};
  write_report({.folder = folder,
                .config = config,
                .network = network_of(trainer),
                .test_data = *test,
                .predictions = finished.test});
  finished.result.update(describe_epochs(folder, config));
  finished.result["test"] = result_of(finished.test);
  finished.result["weights"] = folder.best().string();
  finished.result["report"] = folder.report().string();
  return finished;
}

std::string describe_result(const Json& result) {
  std::string text;
  if (result.contains("validation_accuracy")) {
    text += fmt::format("best epoch     {} of {}, validation accuracy {:.2f} %\n",
                        result["best_epoch"].get<int64_t>(), result["epochs"].get<int64_t>(),
                        100 * result["validation_accuracy"].get<double>());
  }
  const Json& test = result["test"];
  text +=
      fmt::format("test accuracy  {:.2f} % ({} of {} images)\n", 100 * test["top1"].get<double>(),
                  test["correct"].get<int64_t>(), test["images"].get<int64_t>());
  text += fmt::format("weights        {}\nreport         {}\n",
                      result["weights"].get<std::string>(), result["report"].get<std::string>());
  return text;
}

std::vector<FinishedRun> train_all(const std::vector<PlannedRun>& runs,
                                   const TrainingFlags& flags) {
  for (const PlannedRun& run : runs) {
    if (exists(run)) check_same_settings(run);
  }
  std::vector<FinishedRun> finished;
  for (const PlannedRun& run : runs) finished.push_back(train_or_go_on(run, flags));
  return finished;
}

}  // namespace striate::cli
