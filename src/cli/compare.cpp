#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/training_options.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/base/text.h"
#include "striate/models/models.h"
#include "striate/report/plot.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

struct Options {
  std::vector<std::string> models;
  std::string out = "runs/compare";
  bool json = false;
  TrainingFlags training;
};

Json train_one(const std::string& model, const Options& options) {
  const fs::path run = fs::path(options.out) / model;
  const bool goes_on = fs::exists(RunFolder{run}.recipe());
  note(fmt::format("{} {} in {}", goes_on ? "going on with" : "training", model, run.string()));
  TrainingProgress progress;
  const TrainerOptions trainer_flags = trainer_options(run, options.training, progress);
  const RunConfig config = resolve(model, options.training);
  if (goes_on && to_json(config) != read_json(RunFolder{run}.recipe())) {
    throw UsageError(fmt::format("{} holds a run with other settings", run.string()),
                     "compare the flags with its recipe.json, or choose another --out");
  }
  Trainer trainer =
      goes_on ? Trainer::resume(trainer_flags) : Trainer::start(config, trainer_flags);
  return finish_run(trainer, run);
}

// Error in percent over epochs: training dashed, validation solid, as the papers draw it.
Plot error_plot(const Options& options) {
  Plot plot{.title = "",
            .x_label = "epoch",
            .y_label = "error (%)",
            .curves = {},
            .y_range = std::nullopt};
  for (size_t i = 0; i < options.models.size(); ++i) {
    const std::string& model = options.models[i];
    Curve training{.name = model + " training",
                   .x = {},
                   .y = {},
                   .color = static_cast<int>(i),
                   .style = LineStyle::kDashed};
    Curve validation{.name = model + " validation",
                     .x = {},
                     .y = {},
                     .color = static_cast<int>(i),
                     .style = LineStyle::kSolid};
    for (const EpochMetrics& m : read_metrics(RunFolder{fs::path(options.out) / model}.metrics())) {
      training.x.push_back(static_cast<double>(m.epoch));
      training.y.push_back(100 * (1 - m.train_accuracy));
      validation.x.push_back(static_cast<double>(m.epoch));
      validation.y.push_back(100 * (1 - m.validation_accuracy));
    }
    plot.curves.push_back(std::move(training));
    plot.curves.push_back(std::move(validation));
  }
  return plot;
}

std::vector<std::string> row(const Options& options, const Json& result) {
  const auto model = result["model"].get<std::string>();
  const auto metrics = read_metrics(RunFolder{fs::path(options.out) / model}.metrics());
  const EpochMetrics& last = metrics.back();
  const auto error = [](double accuracy) { return fmt::format("{:.2f} %", 100 * (1 - accuracy)); };
  return {model, error(last.train_accuracy), error(last.validation_accuracy),
          error(result["test"]["top1"].get<double>()), duration(result["seconds"].get<double>())};
}

void compare(const Options& options) {
  // A misspelt name must not show after hours of training the others.
  for (const std::string& model : options.models) find_model(model);
  Json results = Json::array();
  for (const std::string& model : options.models) results.push_back(train_one(model, options));
  Plot plot = error_plot(options);
  plot.title = fmt::format("{}: training (dashed) and validation error", options.training.data);
  const fs::path plot_path = fs::path(options.out) / "error.svg";
  write_file_atomically(plot_path, plot_svg(plot, {.width = 760, .height = 460}));
  if (options.json) return print(results);
  std::vector<std::vector<std::string>> rows = {
      {"model", "training error", "validation error", "test error", "time"}};
  for (const Json& result : results) rows.push_back(row(options, result));
  print(aligned_table(rows, "lr") + fmt::format("plot: {}\n", plot_path.string()));
}

}  // namespace

void add_compare(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "compare", "Train several networks on the same data and plot their errors");
  const auto options = std::make_shared<Options>();
  command->add_option("models", options->models, "Networks' names")->required();
  add_training_flags(*command, options->training);
  command->add_option("--out", options->out, "Folder of the runs; runs in it are gone on with")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { compare(*options); });
}

}  // namespace striate::cli
