#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/ensemble.h"
#include "cli/model_kind.h"
#include "cli/progress.h"
#include "cli/runs.h"
#include "striate/base/error.h"
#include "striate/base/file.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kMostMembers = 1000;

struct Options {
  std::string model;
  std::string weights;
  std::string out;
  std::string resume;
  int64_t ensemble = 0;  // members; 0: a single run
  bool json = false;
  TrainingFlags training;
};

// runs/resnet20-fashion-mnist.
std::string usual_folder(const RunConfig& config) {
  return fmt::format("runs/{}-{}", config.model, config.data.substr(0, config.data.find(':')));
}

// That, or the first of …-2, …-3 that does not exist.
fs::path new_run_folder(const RunConfig& config) {
  const std::string base = usual_folder(config);
  fs::path folder = base;
  for (int number = 2; fs::exists(folder); ++number) folder = fmt::format("{}-{}", base, number);
  return folder;
}

RunConfig configure(const Options& options) {
  RunConfig config = resolve(options.model, options.training);
  config.initial_weights = options.weights;
  return config;
}

Trainer start(const Options& options, TrainingProgress& progress, fs::path& run) {
  if (!options.resume.empty()) {
    run = options.resume;
    return Trainer::resume(trainer_options(run, options.training, progress));
  }
  const RunConfig config = configure(options);
  run = options.out.empty() ? new_run_folder(config) : fs::path(options.out);
  return start_run(config, trainer_options(run, options.training, progress));
}

// A resumed run does what its recipe.json says: a flag that would be ignored is an error.
void check_resume(const Options& options) {
  const TrainingFlags& flags = options.training;
  const bool changes =
      !flags.data.empty() || !flags.recipe.empty() || !flags.settings.empty() || flags.epochs > 0 ||
      flags.batch_size > 0 || flags.accumulate > 0 || flags.limit > 0 || flags.seed.has_value() ||
      !flags.freeze_up_to.empty() || flags.final_survival > 0 || !flags.convolution.empty() ||
      !flags.precision.empty() || !flags.encoder.empty() || !flags.attention.empty() ||
      flags.lenient || options.ensemble > 0 || !options.weights.empty() || !options.out.empty();
  if (!options.resume.empty() && changes) {
    throw std::invalid_argument(
        "a resumed run keeps what its recipe.json says; only --device, --loader-threads and "
        "--checkpoint-… go with --resume");
  }
}

void train_one(const Options& options) {
  TrainingProgress progress;
  fs::path run;
  Trainer trainer = start(options, progress, run);
  const ModelKind* const kind = kind_of_model(trainer.config().model);
  if (kind != nullptr) {
    const Json result = finish_run(*kind, trainer, run);
    return options.json ? print(result) : print(describe_result(*kind, result));
  }
  const Json result = finish_run(trainer, run).result;
  options.json ? print(result) : print(describe_result(result));
}

// Runs that differ in their seeds only, in folders named by them.
std::vector<PlannedRun> plan_members(const Options& options) {
  RunConfig config = configure(options);
  const fs::path folder = options.out.empty() ? usual_folder(config) + "-ensemble" : options.out;
  if (fs::exists(RunFolder{folder}.recipe())) {
    throw UsageError(fmt::format("{} holds a single run, not an ensemble", folder.string()),
                     "choose another folder with --out");
  }
  std::vector<PlannedRun> members;
  for (int64_t i = 0; i < options.ensemble; ++i, ++config.seed) {
    members.push_back({config, folder / fmt::format("seed-{}", config.seed)});
  }
  return members;
}

void train_ensemble(const Options& options) {
  if (kind_of_model(options.model) != nullptr) {
    throw UsageError("--ensemble averages networks that tell classes of images");
  }
  const std::vector<PlannedRun> planned = plan_members(options);
  std::vector<Member> members;
  for (FinishedRun& run : train_all(planned, options.training)) {
    members.push_back({.weights = run.result["run"].get<std::string>(),
                       .model = run.result["model"].get<std::string>(),
                       .predictions = std::move(run.test)});
  }
  Json report = {{"data", planned.front().config.data}};
  report.update(ensemble_report(members));
  const fs::path file = ensemble_file(planned.front().folder.parent_path());
  write_file_atomically(file, report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  options.json ? print(report)
               : print(describe_ensemble(report) + fmt::format("written to {}\n", file.string()));
}

void train(const Options& options) {
  if (options.model.empty() == options.resume.empty()) {
    throw std::invalid_argument("name a model to train, or a run to go on with by --resume DIR");
  }
  check_resume(options);
  options.ensemble > 0 ? train_ensemble(options) : train_one(options);
}

}  // namespace

void add_train(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("train", "Train a network or another model, or go on with a run");
  const auto options = std::make_shared<Options>();
  command->add_option("model", options->model, "A model's name: striate models lists them");
  add_training_flags(*command, options->training);
  command->add_option("--weights", options->weights, "Start from these weights");
  command
      ->add_option("--ensemble", options->ensemble,
                   "Train so many, with seeds from --seed on, and average them")
      ->check(CLI::Range(int64_t{2}, kMostMembers));
  command->add_option(
      "--out", options->out,
      "The run's folder (default: runs/MODEL-DATA), or that of the ensemble's runs");
  command->add_option("--resume", options->resume, "Go on with the run in this folder");
  command->add_flag("--json", options->json, "Print the result as JSON");
  command->callback([options] { train(*options); });
}

}  // namespace striate::cli
