#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/model_file.h"
#include "cli/progress.h"
#include "cli/training_options.h"
#include "striate/base/error.h"
#include "striate/graph/analysis.h"
#include "striate/models/models.h"
#include "striate/runtime/initialize.h"
#include "striate/runtime/weights.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

struct Options {
  std::string model;
  std::string weights;
  std::string out;
  std::string resume;
  bool json = false;
  TrainingFlags training;
};

// runs/resnet20-fashion-mnist, or the first of …-2, …-3 that does not exist.
fs::path new_run_folder(const RunConfig& config) {
  const std::string base =
      fmt::format("runs/{}-{}", config.model, config.data.substr(0, config.data.find(':')));
  fs::path folder = base;
  for (int number = 2; fs::exists(folder); ++number) folder = fmt::format("{}-{}", base, number);
  return folder;
}

// The file's weights; those of a last layer for other classes start anew, and it is said so.
Weights initial_weights(const std::string& path, const RunConfig& config) {
  Weights weights = read_weights(path);
  const Graph graph = build_model(
      config.model,
      {.input = config.input, .classes = static_cast<int64_t>(config.class_names.size())});
  std::string replaced;
  for (const TensorSpec& spec : tensors(graph, graph.outputs().front().second)) {
    const auto found = weights.tensors.find(spec.key);
    const bool other_classes = found != weights.tensors.end() &&
                               found->second.dim() == static_cast<int64_t>(spec.shape.size()) &&
                               found->second.size(0) != spec.shape[0];
    if (!other_classes) continue;
    replaced +=
        fmt::format("{}{} (the file's is for {} classes, the data has {})",
                    replaced.empty() ? "" : ", ", spec.key, found->second.size(0), spec.shape[0]);
    found->second = initial_value(spec, config.seed);
  }
  check_weights_or_explain(graph, weights, path);
  note(replaced.empty()
           ? fmt::format("all weights are taken from {}", path)
           : fmt::format("weights are taken from {}, but these are new: {}", path, replaced));
  return weights;
}

Trainer start(const Options& options, TrainingProgress& progress, fs::path& run) {
  if (!options.resume.empty()) {
    run = options.resume;
    return Trainer::resume(trainer_options(run, options.training, progress));
  }
  RunConfig config = resolve(options.model, options.training);
  config.initial_weights = options.weights;
  run = options.out.empty() ? new_run_folder(config) : fs::path(options.out);
  note(fmt::format("training {} on {} {} by recipe {}, {} epochs, into {}", config.model,
                   config.data, to_string(config.input), config.recipe.name, config.recipe.epochs,
                   run.string()));
  const TrainerOptions trainer = trainer_options(run, options.training, progress);
  if (options.weights.empty()) return Trainer::start(config, trainer);
  const Weights initial = initial_weights(options.weights, config);
  return Trainer::start(config, trainer, &initial);
}

// A resumed run does what its recipe.json says: a flag that would be ignored is an error.
void check_resume(const Options& options) {
  const TrainingFlags& flags = options.training;
  const bool changes = !flags.data.empty() || !flags.recipe.empty() || !flags.settings.empty() ||
                       flags.epochs > 0 || flags.batch_size > 0 || flags.limit > 0 ||
                       flags.seed.has_value() || !options.weights.empty() || !options.out.empty();
  if (!options.resume.empty() && changes) {
    throw std::invalid_argument(
        "a resumed run keeps what its recipe.json says; only --device, --loader-threads and "
        "--checkpoint-… go with --resume");
  }
}

void train(const Options& options) {
  if (options.model.empty() == options.resume.empty()) {
    throw std::invalid_argument("name a model to train, or a run to go on with by --resume DIR");
  }
  check_resume(options);
  TrainingProgress progress;
  fs::path run;
  Trainer trainer = start(options, progress, run);
  const Json result = finish_run(trainer, run);
  options.json ? print(result) : print(describe_result(result));
}

}  // namespace

void add_train(CLI::App& program) {
  CLI::App* command = program.add_subcommand("train", "Train a network, or go on with a run");
  const auto options = std::make_shared<Options>();
  command->add_option("model", options->model, "A network's name");
  add_training_flags(*command, options->training);
  command->add_option("--weights", options->weights, "Start from these weights");
  command->add_option("--out", options->out, "The run's folder (default: runs/MODEL-DATA)");
  command->add_option("--resume", options->resume, "Go on with the run in this folder");
  command->add_flag("--json", options->json, "Print the result as JSON");
  command->callback([options] { train(*options); });
}

}  // namespace striate::cli
