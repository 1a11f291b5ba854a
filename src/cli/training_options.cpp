#include "cli/training_options.h"

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/model_kind.h"
#include "cli/options.h"
#include "striate/base/error.h"
#include "striate/graph/analysis.h"
#include "striate/models/models.h"
#include "striate/training/classification.h"

namespace striate::cli {

void add_stages_flag(CLI::App& command, std::vector<std::string>& stages) {
  command
      .add_option("--checkpoint-stages", stages,
                  "Parts of the network to compute again in the backward pass instead of keeping "
                  "their values: all, or names as layer1,layer2 or FIRST..LAST")
      ->delimiter(',');
}

void add_training_flags(CLI::App& command, TrainingFlags& flags) {
  command.add_option("--data", flags.data, kDataSpellings);
  command.add_option("--recipe", flags.recipe, "A recipe's name or .json file");
  command.add_option("--set", flags.settings, "One value of the recipe: key=value, repeatable");
  command.add_option("--epochs", flags.epochs, "Passes over the data")->check(CLI::PositiveNumber);
  command.add_option("--batch-size", flags.batch_size, "Images in a batch, or streams of a text")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--accumulate", flags.accumulate,
                  "Batches in a step of the optimiser, whose gradients are averaged")
      ->check(CLI::PositiveNumber);
  command.add_option("--seed", flags.seed, "What all randomness comes from (default: 1)");
  command
      .add_option("--limit", flags.limit, "Use only so many training images, or tokens of a text")
      ->check(CLI::PositiveNumber);
  command.add_option("--freeze", flags.freeze_up_to,
                     "Keep the weights of this node and of all before it as they are");
  command
      .add_option("--survival", flags.final_survival,
                  "Stochastic depth: how likely the last residual block is in a step")
      ->check(check_probability);
  command.add_option("--convolution", flags.convolution,
                     "How convolutions are computed: auto (default), direct or winograd");
  command.add_option("--precision", flags.precision,
                     "What layers are computed in: float32 (default) or bf16");
  command.add_option("--encoder", flags.encoder,
                     "Captions: weights of the network that looks at the images");
  command.add_option("--attention", flags.attention, "Captions: soft or hard")
      ->check(CLI::IsMember({"soft", "hard"}));
  command.add_flag("--lenient", flags.lenient,
                   "Objects: leave out those whose box or mask is wrong");
  command.add_option("--device", flags.device, "cpu or cuda")->capture_default_str();
  command.add_option("--loader-threads", flags.loader_threads, "Threads that prepare images")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command.add_option("--checkpoint-seconds", flags.checkpoint_seconds, "Save at least so often")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_stages_flag(command, flags.checkpoint_stages);
  command.add_option("--checkpoint-steps", flags.checkpoint_steps, "Save after so many steps, too")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--snapshots", flags.snapshot_epochs,
                  "Keep the weights of every so many epochs, to see how they grew")
      ->check(CLI::PositiveNumber);
}

namespace {

void apply_setting(const std::string& setting, Recipe& recipe) {
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

// The network must exist in the form asked for, and have something left to train.
void check_network(const RunConfig& config) {
  try {
    if (count_parameters(config).trained > 0) return;
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what(),
                     "leave out --survival, or --set loss.auxiliary_weight=0, whichever it is");
  }
  throw UsageError(
      fmt::format("--freeze {} leaves no weight of {} to train", config.freeze_up_to, config.model),
      "name an earlier node: striate summary MODEL lists them");
}

}  // namespace

Recipe resolve_recipe(const std::string& usual, const TrainingFlags& flags) {
  Recipe recipe = find_recipe(flags.recipe.empty() ? usual : flags.recipe);
  if (!flags.encoder.empty())
    apply_setting("task.encoder.weights=" + Json(flags.encoder).dump(), recipe);
  if (!flags.attention.empty()) apply_setting("task.attention=" + flags.attention, recipe);
  if (flags.lenient) apply_setting("task.lenient=true", recipe);
  for (const std::string& setting : flags.settings) apply_setting(setting, recipe);
  if (flags.epochs > 0) recipe.epochs = flags.epochs;
  if (flags.batch_size > 0) recipe.batch_size = flags.batch_size;
  if (flags.accumulate > 0) recipe.accumulate = flags.accumulate;
  return recipe;
}

RunConfig resolve(const std::string& model, const TrainingFlags& flags) {
  const ModelKind* const kind = kind_of_model(model);
  if (kind != nullptr) return resolve(*kind, model, flags);
  const ModelEntry& entry = find_model(model);
  if (flags.lenient) {
    throw UsageError(fmt::format("--lenient has no meaning for the network {}", model),
                     "leave it out: it is for boxes and masks of objects");
  }
  if (flags.data.empty()) {
    throw std::invalid_argument(fmt::format("--data is missing: {}", kDataSpellings));
  }
  RunConfig config{
      .model = model,
      .input = {},
      .class_names = {},
      .data = flags.data,
      .limit = flags.limit,
      .final_survival = flags.final_survival,
      .freeze_up_to = flags.freeze_up_to,
      .seed = flags.seed.value_or(1),
      .convolution = convolution_algorithm(flags.convolution.empty() ? "auto" : flags.convolution),
      .precision = find_precision(flags.precision.empty() ? "float32" : flags.precision),
      .recipe = resolve_recipe(entry.recipe, flags)};
  if (!config.recipe.task.is_null()) {
    throw UsageError(fmt::format("recipe {} is not for images", config.recipe.name),
                     fmt::format("{}'s usual recipe is {}", model, entry.recipe));
  }

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
  check_network(config);
  return config;
}

ParameterCounts count_parameters(const RunConfig& config) {
  const Graph graph = training_graph(config);
  std::vector<bool> frozen(graph.nodes().size());
  if (!config.freeze_up_to.empty()) {
    frozen = with_ancestors(graph, graph.find(config.freeze_up_to));
  }
  ParameterCounts counts;
  for (size_t i = 0; i < frozen.size(); ++i) {
    (frozen[i] ? counts.frozen : counts.trained) +=
        parameter_count(graph, {static_cast<int64_t>(i)});
  }
  return counts;
}

namespace {

std::unique_ptr<Task> make_task(const RunConfig& config, const TrainerOptions& options) {
  const ModelKind* const kind = kind_of_model(config.model);
  return kind == nullptr ? make_classification(config, options) : kind->make_task(config, options);
}

}  // namespace

TrainerOptions trainer_options(const std::filesystem::path& run, const TrainingFlags& flags,
                               TrainingObserver& observer) {
  return {.run = run,
          .make_task = make_task,
          .loader_threads = flags.loader_threads,
          .device = flags.device,
          .checkpoint_stages = flags.checkpoint_stages,
          .checkpoint_seconds = flags.checkpoint_seconds,
          .checkpoint_steps = flags.checkpoint_steps,
          .snapshot_epochs = flags.snapshot_epochs,
          .stop = &stop_requested(),
          .observer = &observer};
}

}  // namespace striate::cli
