#include "cli/model_kind.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/bench.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "cli/runs.h"
#include "striate/base/file.h"
#include "striate/base/text.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

void refuse_flags_for_images(const ModelKind& kind, const std::string& model,
                             const TrainingFlags& flags) {
  for (const auto& [name, given] :
       {std::pair{"--freeze", !flags.freeze_up_to.empty()},
        std::pair{"--survival", flags.final_survival > 0},
        std::pair{"--convolution", !flags.convolution.empty()},
        std::pair{"--precision", !flags.precision.empty()},
        std::pair{"--checkpoint-stages", !flags.checkpoint_stages.empty()},
        std::pair{"--lenient", flags.lenient && !kind.finds_objects()}}) {
    if (given) {
      throw UsageError(fmt::format("{} has no meaning for the {} {}", name, kind.name(), model),
                       "leave it out");
    }
  }
}

const ListedModel& listed(const ModelKind& kind, const std::vector<ListedModel>& models,
                          const std::string& model) {
  const auto found = std::ranges::find(models, model, &ListedModel::name);
  if (found == models.end()) throw LookupError(fmt::format("{} is no {}", model, kind.name()));
  return *found;
}

// By the loss, where it is measured.
bool is_better(const EpochMetrics& a, const EpochMetrics& b) {
  return std::isnan(a.validation_loss) ? a.validation_accuracy > b.validation_accuracy
                                       : a.validation_loss < b.validation_loss;
}

// The best epoch, how many there were, and their time.
Json describe_epochs(const RunFolder& folder) {
  const std::vector<EpochMetrics> metrics = read_metrics(folder.metrics());
  const EpochMetrics* best = &metrics.front();
  double seconds = 0;
  for (const EpochMetrics& epoch : metrics) {
    if (is_better(epoch, *best)) best = &epoch;
    seconds += epoch.seconds;
  }
  return {{"epochs", metrics.size()},
          {"seconds", seconds},
          {"best_epoch", best->epoch},
          {"validation_loss", finite_or_null(best->validation_loss)},
          {"validation_accuracy", finite_or_null(best->validation_accuracy)}};
}

std::string describe_validation(const Json& result) {
  if (!result["validation_loss"].is_null()) {
    return fmt::format(", validation loss {:.4f} nats", result["validation_loss"].get<double>());
  }
  if (result["validation_accuracy"].is_null()) return "";
  return fmt::format(", validation precision {:.4f}", result["validation_accuracy"].get<double>());
}

void write_report(const ModelKind& kind, const RunFolder& folder, const RunConfig& config,
                  const Json& result) {
  RunReport report;
  report.title = fmt::format("{} on {}", config.model, config.data);
  report.facts = {{"Model", config.model},
                  {"Parameters", with_thousands(parameter_count(kind.tensors(config)))},
                  {"Data", config.data},
                  {"Test", kind.describe_test(result["test"])},
                  {"Recipe", config.recipe.name},
                  {"Batch", std::to_string(config.recipe.batch_size)},
                  {"Epochs", std::to_string(result["epochs"].get<int64_t>())},
                  {"Seed", std::to_string(config.seed)},
                  {"Training time", duration(result["seconds"].get<double>())},
                  {"Compute threads", std::to_string(at::get_num_threads())}};
  report.epochs = epoch_records(folder);
  report.evaluated_on = config.data + ", its test part";
  kind.add_to_report(config, result["test"], report);
  write_file_atomically(folder.report(), run_report_html(report));
}

}  // namespace

void ModelKind::sample(const SampleRequest& request) const {
  throw UsageError(fmt::format("{} holds a {}, which makes nothing up", request.weights, name()),
                   "striate sample takes language models and DRAW");
}

void ModelKind::predict(const PredictionRequest& request) const {
  throw UsageError(fmt::format("{} holds a {}", request.weights, name()), hint());
}

void ModelKind::look_attention(const AttentionRequest& request) const {
  throw UsageError(fmt::format("{} holds a {}, which has no attention", request.weights, name()),
                   "striate train seq2seq_attention --data pairs:FILE_A:FILE_B makes what has");
}

void ModelKind::bench_training(const StepOptions& options) const {
  throw UsageError(fmt::format("there is no bench of the {} {}", name(), options.model));
}

void ModelKind::bench_inference(const StepOptions& options) const {
  throw UsageError(fmt::format("there is no bench of the {} {}", name(), options.model));
}

const std::vector<const ModelKind*>& model_kinds() {
  static const std::vector<const ModelKind*> kKinds = {&language_models_kind(),
                                                       &translation_models_kind(),
                                                       &captioning_kind(),
                                                       &draw_kind(),
                                                       &rcnn_kind(),
                                                       &detection_kind()};
  return kKinds;
}

const ModelKind* kind_of_model(const std::string& model) {
  for (const ModelKind* kind : model_kinds()) {
    const std::vector<ListedModel> models = kind->models();
    if (std::ranges::find(models, model, &ListedModel::name) != models.end()) return kind;
  }
  return nullptr;
}

const ModelKind* kind_of_weights(const Weights& weights) {
  const auto found = std::ranges::find_if(
      model_kinds(), [&](const ModelKind* kind) { return kind->holds(weights); });
  return found == model_kinds().end() ? nullptr : *found;
}

const ModelKind* kind_of_file(const fs::path& path) {
  return kind_of_weights(read_weights(weight_file(path)));
}

fs::path weight_file(const fs::path& path) {
  return fs::is_directory(path) ? RunFolder{path}.best() : path;
}

int64_t parameter_count(const TensorShapes& tensors) {
  int64_t count = 0;
  for (const auto& [key, shape] : tensors) count += volume(shape);
  return count;
}

void rethrow_as_usage(const Error& error) {
  const std::string& hint = error.hint();
  throw UsageError(error.what(), hint.empty()
                                     ? "striate recipes NAME prints a recipe with all its values"
                                     : hint);
}

RunConfig resolve(const ModelKind& kind, const std::string& model, const TrainingFlags& flags) {
  refuse_flags_for_images(kind, model, flags);
  if (flags.data.empty()) {
    throw std::invalid_argument(fmt::format("--data is missing: {}", kind.data_spellings()));
  }
  const std::vector<ListedModel> models = kind.models();
  const std::string& usual = listed(kind, models, model).recipe;
  RunConfig config{.model = model,
                   .input = {},
                   .class_names = {},
                   .data = flags.data,
                   .limit = flags.limit,
                   .seed = flags.seed.value_or(1),
                   .recipe = resolve_recipe(usual, flags)};
  if (config.recipe.task.is_null()) {
    throw UsageError(fmt::format("recipe {} is for images", config.recipe.name),
                     fmt::format("{}'s usual recipe is {}", model, usual));
  }
  kind.complete(config);
  return config;
}

Trainer start_run(const ModelKind& kind, const RunConfig& config, const TrainerOptions& options) {
  note(
      fmt::format("training {} on {} by recipe {}, {} epochs, into {}\n"
                  "{} parameters are trained",
                  config.model, config.data, config.recipe.name, config.recipe.epochs,
                  options.run.string(), with_thousands(parameter_count(kind.tensors(config)))));
  if (config.initial_weights.empty()) return Trainer::start(config, options);
  const Weights initial = read_weights(weight_file(config.initial_weights));
  kind.check_initial(config, initial, config.initial_weights);
  return Trainer::start(config, options, &initial);
}

Json finish_run(const ModelKind& kind, Trainer& trainer, const fs::path& run) {
  train_to_the_end(trainer);
  const RunFolder folder{run};
  const RunConfig& config = trainer.config();
  Json result = {{"model", config.model}, {"data", config.data}, {"run", run.string()}};
  result.update(describe_epochs(folder));
  result["test"] = kind.test(trainer.task(), config);
  write_report(kind, folder, config, result);
  result["weights"] = folder.best().string();
  result["report"] = folder.report().string();
  return result;
}

std::string describe_result(const ModelKind& kind, const Json& result) {
  return fmt::format("best epoch     {} of {}{}\n", result["best_epoch"].get<int64_t>(),
                     result["epochs"].get<int64_t>(), describe_validation(result)) +
         fmt::format("test           {}\nweights        {}\nreport         {}\n",
                     kind.describe_test(result["test"]), result["weights"].get<std::string>(),
                     result["report"].get<std::string>());
}

}  // namespace striate::cli
