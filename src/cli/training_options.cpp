#include "cli/training_options.h"

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/results.h"
#include "striate/base/error.h"
#include "striate/models/models.h"

namespace striate::cli {

void add_training_flags(CLI::App& command, TrainingFlags& flags) {
  command.add_option("--data", flags.data, "fashion-mnist, idx:DIR, cifar10:DIR or folder:DIR");
  command.add_option("--recipe", flags.recipe, "A recipe's name or .json file");
  command.add_option("--set", flags.settings, "One value of the recipe: key=value, repeatable");
  command.add_option("--epochs", flags.epochs, "Passes over the data")->check(CLI::PositiveNumber);
  command.add_option("--batch-size", flags.batch_size, "Images in a step")
      ->check(CLI::PositiveNumber);
  command.add_option("--seed", flags.seed, "What all randomness comes from (default: 1)");
  command.add_option("--limit", flags.limit, "Use only so many training images")
      ->check(CLI::PositiveNumber);
  command.add_option("--device", flags.device, "cpu or cuda")->capture_default_str();
  command.add_option("--loader-threads", flags.loader_threads, "Threads that prepare images")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command.add_option("--checkpoint-seconds", flags.checkpoint_seconds, "Save at least so often")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--checkpoint-steps", flags.checkpoint_steps, "Save after so many steps, too")
      ->check(CLI::PositiveNumber);
}

namespace {

void apply(const std::string& setting, Recipe& recipe) {
  try {
    recipe = with_setting(recipe, setting);
  } catch (const Error& error) {
    const std::string& hint = error.hint();
    throw UsageError(error.what(), hint.empty()
                                       ? "striate recipes NAME prints a recipe with all its values"
                                       : hint);
  }
}

// What a run ends with must be there before it begins.
void check_test_images(const std::string& data) {
  if (!has_test_images(data)) {
    throw Error(fmt::format("{} has no test images of its own", data),
                "a run ends with a test: put images aside as DIR/train/CLASS and DIR/val/CLASS");
  }
  open_dataset(data, Split::kTest);
}

}  // namespace

RunConfig resolve(const std::string& model, const TrainingFlags& flags) {
  const ModelEntry& entry = find_model(model);
  if (flags.data.empty()) {
    throw std::invalid_argument(
        "--data is missing: fashion-mnist, idx:DIR, cifar10:DIR, folder:DIR");
  }
  RunConfig config{.model = model,
                   .input = {},
                   .class_names = {},
                   .data = flags.data,
                   .limit = flags.limit,
                   .seed = flags.seed.value_or(1),
                   .recipe = find_recipe(flags.recipe.empty() ? entry.recipe : flags.recipe)};
  for (const std::string& setting : flags.settings) apply(setting, config.recipe);
  if (flags.epochs > 0) config.recipe.epochs = flags.epochs;
  if (flags.batch_size > 0) config.recipe.batch_size = flags.batch_size;

  const std::unique_ptr<Dataset> data = open_dataset(flags.data, Split::kTrain);
  check_test_images(flags.data);
  const int64_t images = flags.limit > 0 ? std::min(flags.limit, data->size()) : data->size();
  if (config.recipe.validation_size >= images) {
    throw std::invalid_argument(
        fmt::format("the recipe holds out {} images, there are {}: use --set validation_size={}",
                    config.recipe.validation_size, images, images / 10));
  }
  config.class_names = data->class_names();
  if (needs_measuring(config.recipe.eval_transforms) ||
      needs_measuring(config.recipe.train_transforms)) {
    // Both are normalised by the numbers of unaltered images.
    config.recipe.eval_transforms = measure_normalization(config.recipe.eval_transforms, *data);
    std::vector<Transform> transforms = config.recipe.train_transforms.transforms();
    for (Transform& transform : transforms) {
      auto* normalize = std::get_if<transforms::Normalize>(&transform);
      if (normalize == nullptr || !normalize->mean.empty()) continue;
      for (const Transform& measured : config.recipe.eval_transforms.transforms()) {
        if (std::holds_alternative<transforms::Normalize>(measured)) transform = measured;
      }
    }
    config.recipe.train_transforms = Preprocessing(std::move(transforms));
    if (needs_measuring(config.recipe.train_transforms)) {
      throw FormatError(
          "the recipe measures train_transforms' normalize as that of eval_transforms, "
          "which has none",
          "give eval_transforms a normalize, too");
    }
  }
  config.input = input_shape(*data, config.recipe.eval_transforms);
  return config;
}

TrainerOptions trainer_options(const std::filesystem::path& run, const TrainingFlags& flags,
                               TrainingObserver& observer) {
  return {.run = run,
          .loader_threads = flags.loader_threads,
          .device = flags.device,
          .checkpoint_seconds = flags.checkpoint_seconds,
          .checkpoint_steps = flags.checkpoint_steps,
          .stop = &stop_requested(),
          .observer = &observer};
}

Json finish_run(Trainer& trainer, const std::filesystem::path& run) {
  {
    const InterruptGuard guard;
    trainer.train();
  }
  trainer.load_best();
  const RunFolder folder{run};
  const RunConfig& config = trainer.config();
  const auto test = open_data({.spelling = config.data, .split = Split::kTest});
  const Predictions predictions =
      predict_data(trainer.network(), *test, config.recipe.eval_transforms);
  write_report({.folder = folder,
                .config = config,
                .network = trainer.network(),
                .test_data = *test,
                .predictions = predictions});

  Json result = {{"model", config.model}, {"data", config.data}, {"run", run.string()}};
  const std::vector<EpochMetrics> metrics = read_metrics(folder.metrics());
  const EpochMetrics* best = &metrics.front();  // the first of equals, as it was kept
  double seconds = 0;
  for (const EpochMetrics& epoch : metrics) {
    if (epoch.validation_accuracy > best->validation_accuracy) best = &epoch;
    seconds += epoch.seconds;
  }
  result["epochs"] = metrics.size();
  result["seconds"] = seconds;
  if (config.recipe.validation_size > 0) {
    result["best_epoch"] = best->epoch;
    result["validation_accuracy"] = best->validation_accuracy;
  }
  result["test"] = to_json(accuracy(predictions));
  result["test"]["loss"] = predictions.loss;
  result["weights"] = folder.best().string();
  result["report"] = folder.report().string();
  return result;
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

}  // namespace striate::cli
