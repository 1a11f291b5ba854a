#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <memory>
#include <string>

#include "cli/bench.h"
#include "cli/command.h"
#include "cli/options.h"
#include "striate/data/loader.h"
#include "striate/training/recipe.h"

namespace striate::cli {

namespace {

struct Options {
  std::string data;
  std::string split = "train";
  std::string recipe;
  std::string transforms;
  int64_t batch_size = 64;
  int64_t steps = 50;
  int64_t warmup_steps = 5;
  int threads = 1;
  bool json = false;
};

Preprocessing find_transforms(const Options& options) {
  if (options.recipe.empty() == options.transforms.empty()) {
    throw UsageError("give either --recipe or --transforms",
                     "as --recipe alexnet, or --transforms '[{\"random_resized_crop\": {}}]'");
  }
  if (!options.recipe.empty()) return find_recipe(options.recipe).train_transforms;
  const bool is_file = options.transforms.ends_with(".json");
  const Json list =
      is_file ? read_json(options.transforms) : parse_json(options.transforms, "--transforms");
  return Preprocessing::from_json(list, is_file ? options.transforms : "--transforms");
}

// One epoch after the other.
class Epochs {
 public:
  explicit Epochs(Loader& loader) : loader_(loader) { loader_.start(0); }

  Batch next() {
    if (std::optional<Batch> batch = loader_.next()) return std::move(*batch);
    loader_.start(++epoch_);
    return *loader_.next();
  }

 private:
  Loader& loader_;
  int64_t epoch_ = 0;
};

void bench_data(const Options& options) {
  const auto data =
      open_dataset(options.data, options.split == "train" ? Split::kTrain : Split::kTest);
  const Preprocessing preprocessing = measure_normalization(find_transforms(options), *data);
  Loader loader(*data, preprocessing,
                {.batch_size = options.batch_size,
                 .order = Order::kShuffled,
                 .seed = 1,
                 .threads = options.threads});
  Epochs epochs(loader);
  for (int64_t i = 0; i < options.warmup_steps; ++i) epochs.next();
  const auto start = std::chrono::steady_clock::now();
  int64_t images = 0;
  std::vector<int64_t> shape;
  for (int64_t i = 0; i < options.steps; ++i) {
    const Batch batch = epochs.next();
    images += batch.labels.size(0);
    shape = batch.images.sizes().slice(1).vec();
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double speed = static_cast<double>(images) / seconds;
  if (options.json) {
    return print(Json{{"data", options.data},
                      {"transforms", preprocessing.to_json()},
                      {"batch_size", options.batch_size},
                      {"threads", options.threads},
                      {"shape", shape},
                      {"images", images},
                      {"seconds", seconds},
                      {"images_per_second", speed}});
  }
  print(
      fmt::format("{}, batches of {} images of {}, {} threads: {:.0f} images/s ({} in {:.3f} s)\n",
                  options.data, options.batch_size, fmt::join(shape, "x"), options.threads, speed,
                  images, seconds));
}

}  // namespace

void add_data_mode(CLI::App& bench) {
  CLI::App* command = bench.add_subcommand("data", "Batches of training images, without a network");
  const auto options = std::make_shared<Options>();
  command->add_option("data", options->data, kImageSpellings)->required();
  command->add_option("--split", options->split, "train or test")
      ->check(CLI::IsMember({"train", "test"}))
      ->capture_default_str();
  command->add_option("--recipe", options->recipe, "A recipe's training transforms");
  command->add_option("--transforms", options->transforms,
                      "Transforms as a recipe has them: JSON, or a .json file");
  command->add_option("--batch-size", options->batch_size, "Images in a batch")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--steps", options->steps, "Batches that are measured")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--warmup-steps", options->warmup_steps, "Batches before")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Threads that prepare images")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { bench_data(*options); });
}

}  // namespace striate::cli
