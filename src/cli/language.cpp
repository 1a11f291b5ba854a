#include "cli/language.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "cli/runs.h"
#include "striate/base/file.h"
#include "striate/base/text.h"
#include "striate/report/run_report.h"
#include "striate/sequence/language_task.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kUsualCharacters = 65;
constexpr int64_t kUsualWords = 10000;

void refuse_flags_for_images(const LanguageModelEntry& entry, const TrainingFlags& flags) {
  for (const auto& [name, given] :
       {std::pair{"--freeze", !flags.freeze_up_to.empty()},
        std::pair{"--survival", flags.final_survival > 0},
        std::pair{"--convolution", !flags.convolution.empty()},
        std::pair{"--precision", !flags.precision.empty()},
        std::pair{"--checkpoint-stages", !flags.checkpoint_stages.empty()}}) {
    if (given) {
      throw UsageError(fmt::format("{} has no meaning for the language model {}", name, entry.name),
                       "leave it out");
    }
  }
}

int64_t parameter_count(const LanguageModelEntry& entry, int64_t vocabulary,
                        const LanguageModelOptions& options) {
  int64_t count = 0;
  for (const auto& [key, shape] : language_model_shapes(entry.cell, vocabulary, options)) {
    count += volume(shape);
  }
  return count;
}

Json to_json(const TextLoss& loss, TextUnit unit) {
  Json json = {{to_string(unit), loss.tokens},
               {"loss", loss.loss},
               {"perplexity", loss.perplexity()},
               {"accuracy", loss.accuracy}};
  json[unit == TextUnit::kCharacters ? "bits_per_character" : "bits_per_word"] = loss.bits();
  return json;
}

std::string describe(const Json& loss) {
  const bool characters = loss.contains("characters");
  return fmt::format(
      "{:.4f} nats, {:.4f} bits per {}, perplexity {:.3f}, accuracy {:.2f} % ({} {})",
      loss["loss"].get<double>(),
      loss[characters ? "bits_per_character" : "bits_per_word"].get<double>(),
      characters ? "character" : "word", loss["perplexity"].get<double>(),
      100 * loss["accuracy"].get<double>(),
      with_thousands(loss[characters ? "characters" : "words"].get<int64_t>()),
      characters ? "characters" : "words");
}

// The best epoch, how many there were, and their time.
Json describe_epochs(const RunFolder& folder) {
  const std::vector<EpochMetrics> metrics = read_metrics(folder.metrics());
  const EpochMetrics* best = &metrics.front();
  double seconds = 0;
  for (const EpochMetrics& epoch : metrics) {
    if (epoch.validation_loss < best->validation_loss) best = &epoch;
    seconds += epoch.seconds;
  }
  return {{"epochs", metrics.size()},
          {"seconds", seconds},
          {"best_epoch", best->epoch},
          {"validation_loss", best->validation_loss}};
}

void write_language_report(const RunFolder& folder, const RunConfig& config, const Json& result) {
  const LanguageModelEntry& entry = *find_language_model(config.model);
  const LanguageTaskOptions options = language_task_options(config.recipe.task, "recipe.task");
  const auto vocabulary = static_cast<int64_t>(config.class_names.size());
  RunReport report;
  report.title = fmt::format("{} on {}", config.model, config.data);
  report.facts = {
      {"Model", config.model},
      {"Vocabulary", fmt::format("{} {}", vocabulary, to_string(entry.unit))},
      {"Layers", fmt::format("{} of {}", options.model.layers, options.model.hidden_size)},
      {"Parameters", with_thousands(parameter_count(entry, vocabulary, options.model))},
      {"Data", config.data},
      {"Test", describe(result["test"])},
      {"Recipe", config.recipe.name},
      {"Streams", std::to_string(config.recipe.batch_size)},
      {"Chunk", std::to_string(options.chunk)},
      {"Epochs", std::to_string(result["epochs"].get<int64_t>())},
      {"Seed", std::to_string(config.seed)},
      {"Training time", duration(result["seconds"].get<double>())},
      {"Compute threads", std::to_string(at::get_num_threads())}};
  report.epochs = epoch_records(folder);
  report.evaluated_on = config.data + ", its test part";
  write_file_atomically(folder.report(), run_report_html(report));
}

// What --set or a recipe's file got wrong is wrong usage.
LanguageTaskOptions checked_options(const Recipe& recipe) {
  try {
    return language_task_options(recipe.task, "recipe.task");
  } catch (const FormatError& error) {
    const std::string& hint = error.hint();
    throw UsageError(error.what(), hint.empty()
                                       ? "striate recipes NAME prints a recipe with all its values"
                                       : hint);
  }
}

fs::path weight_file(const fs::path& path) {
  return fs::is_directory(path) ? RunFolder{path}.best() : path;
}

const std::vector<std::string>& part_of(const TextParts& parts, const std::string& name) {
  if (name == "train") return parts.training;
  return name == "validation" ? parts.validation : parts.test;
}

}  // namespace

RunConfig resolve_language(const LanguageModelEntry& entry, const TrainingFlags& flags) {
  refuse_flags_for_images(entry, flags);
  if (flags.data.empty()) {
    throw std::invalid_argument("--data is missing: text:FILE, or text:DIR");
  }
  RunConfig config{.model = entry.name,
                   .input = {},
                   .class_names = {},
                   .data = flags.data,
                   .limit = flags.limit,
                   .seed = flags.seed.value_or(1),
                   .recipe = resolve_recipe(entry.recipe, flags)};
  if (config.recipe.task.is_null()) {
    throw UsageError(fmt::format("recipe {} is for images", config.recipe.name),
                     fmt::format("{}'s usual recipe is {}", entry.name, entry.recipe));
  }
  const LanguageTaskOptions options = checked_options(config.recipe);
  config.class_names =
      make_vocabulary(open_text(flags.data, entry.unit), entry.unit, options.minimum_count)
          .tokens();
  return config;
}

Trainer start_language_run(const RunConfig& config, const TrainerOptions& options) {
  const LanguageModelEntry& entry = *find_language_model(config.model);
  const auto vocabulary = static_cast<int64_t>(config.class_names.size());
  const LanguageTaskOptions task = language_task_options(config.recipe.task, "recipe.task");
  note(
      fmt::format("training {} on {} ({} different {}) by recipe {}, {} epochs, into {}\n"
                  "{} parameters are trained",
                  config.model, config.data, vocabulary, to_string(entry.unit), config.recipe.name,
                  config.recipe.epochs, options.run.string(),
                  with_thousands(parameter_count(entry, vocabulary, task.model))));
  if (config.initial_weights.empty()) return Trainer::start(config, options);
  const Weights initial = read_weights(weight_file(config.initial_weights));
  const LoadedLanguageModel model = load_language_model(initial, config.initial_weights);
  if (model.vocabulary.tokens() != config.class_names) {
    throw Error(
        fmt::format("{} has another vocabulary than {}", config.initial_weights, config.data),
        "start from weights that were trained on the same text");
  }
  return Trainer::start(config, options, &initial);
}

Json finish_language_run(Trainer& trainer, const fs::path& run) {
  train_to_the_end(trainer);
  const RunFolder folder{run};
  const RunConfig& config = trainer.config();
  const LanguageModelEntry& entry = *find_language_model(config.model);
  const LanguageTaskOptions options = language_task_options(config.recipe.task, "recipe.task");
  const EncodedText text = open_encoded_text(config.data, entry.unit, options.minimum_count);
  Json result = {{"model", config.model}, {"data", config.data}, {"run", run.string()}};
  result.update(describe_epochs(folder));
  result["test"] = to_json(evaluate_text(language_model_of(trainer.task()), text.test), entry.unit);
  write_language_report(folder, config, result);
  result["weights"] = folder.best().string();
  result["report"] = folder.report().string();
  return result;
}

std::string describe_language_result(const Json& result) {
  return fmt::format("best epoch     {} of {}, validation loss {:.4f} nats\n",
                     result["best_epoch"].get<int64_t>(), result["epochs"].get<int64_t>(),
                     result["validation_loss"].get<double>()) +
         fmt::format("test           {}\nweights        {}\nreport         {}\n",
                     describe(result["test"]), result["weights"].get<std::string>(),
                     result["report"].get<std::string>());
}

LoadedLanguageModel open_language_model(const fs::path& path) {
  const fs::path file = weight_file(path);
  return load_language_model(read_weights(file), file.string());
}

bool holds_language_model(const fs::path& path) {
  return is_language_model(read_weights(weight_file(path)));
}

Json evaluate_language(const LanguageEvaluation& evaluation) {
  const LoadedLanguageModel loaded = open_language_model(evaluation.weights);
  const TextUnit unit = loaded.vocabulary.unit();
  const TextParts parts = open_text(evaluation.data, unit);
  std::vector<std::string> tokens = part_of(parts, evaluation.part);
  if (evaluation.limit > 0 && evaluation.limit + 1 < static_cast<int64_t>(tokens.size())) {
    tokens.resize(static_cast<size_t>(evaluation.limit + 1));
  }
  Json report = {{"data", evaluation.data},
                 {"part", evaluation.part},
                 {"weights", evaluation.weights},
                 {"model", loaded.entry->name}};
  report.update(to_json(
      evaluate_text(*loaded.model, loaded.vocabulary.encode(tokens, evaluation.data)), unit));
  return report;
}

std::string describe_language_evaluation(const Json& report) {
  return fmt::format("{} on {}, {} part: {}\n", report["model"].get<std::string>(),
                     report["data"].get<std::string>(), report["part"].get<std::string>(),
                     describe(report));
}

LanguageModelSize usual_size(const LanguageModelEntry& entry, int64_t vocabulary) {
  const int64_t usual = entry.unit == TextUnit::kCharacters ? kUsualCharacters : kUsualWords;
  LanguageModelSize size{
      .vocabulary = vocabulary > 0 ? vocabulary : usual,
      .options =
          language_task_options(named_recipe(entry.recipe).task, entry.recipe + ".task").model};
  size.parameters = parameter_count(entry, size.vocabulary, size.options);
  return size;
}

}  // namespace striate::cli
