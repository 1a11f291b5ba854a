#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/model_kind.h"
#include "cli/progress.h"
#include "cli/runs.h"
#include "striate/base/file.h"
#include "striate/base/text.h"
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

// All are resolved first: what is wrong with the last must not show after hours of training.
std::vector<PlannedRun> plan(const Options& options) {
  std::vector<PlannedRun> runs;
  for (const std::string& model : options.models) {
    const ModelKind* const kind = kind_of_model(model);
    if (kind != nullptr) {
      throw UsageError(
          fmt::format("{} is a {}: compare trains networks for images", model, kind->name()));
    }
    runs.push_back({resolve(model, options.training), fs::path(options.out) / model});
  }
  return runs;
}

void compare(const Options& options) {
  Json results = Json::array();
  for (FinishedRun& run : train_all(plan(options), options.training)) {
    results.push_back(std::move(run.result));
  }
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
