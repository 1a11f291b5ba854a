#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "cli/bench.h"
#include "cli/command.h"
#include "striate/data/dataset.h"
#include "striate/runtime/weights.h"
#include "striate/visualization/neighbours.h"
#include "striate/visualization/pca.h"
#include "striate/visualization/tsne.h"

namespace striate::cli {

namespace {

const std::map<std::string, TsneMethod> kMethods = {{"auto", TsneMethod::kAuto},
                                                    {"exact", TsneMethod::kExact},
                                                    {"barnes-hut", TsneMethod::kBarnesHut},
                                                    {"interpolation", TsneMethod::kInterpolation}};

struct Options {
  std::string data;
  std::string split = "test";
  int64_t limit = 0;
  int64_t components = 50;
  std::string method = "auto";
  TsneOptions tsne;
  int threads = 0;
  std::string out;
  bool json = false;
};

// Pixels in [0, 1], an image a row.
at::Tensor pixels(const std::vector<std::unique_ptr<Dataset>>& parts, int64_t limit) {
  int64_t count = 0;
  for (const auto& part : parts) count += part->size();
  if (limit > 0) count = std::min(count, limit);
  at::Tensor result;
  int64_t row = 0;
  for (const auto& part : parts) {
    for (int64_t i = 0; i < part->size() && row < count; ++i, ++row) {
      const Image image = part->sample(i).image;
      const auto width = static_cast<int64_t>(image.pixels.size());
      if (!result.defined()) result = at::empty({count, width}, at::kFloat);
      if (result.size(1) != width) throw UsageError("the images have several sizes", "");
      float* to = result.data_ptr<float>() + row * width;
      for (int64_t k = 0; k < width; ++k) {
        to[k] = static_cast<float>(image.pixels[static_cast<size_t>(k)]) / 255;
      }
    }
  }
  return result;
}

at::Tensor read_pixels(const Options& options) {
  std::vector<std::unique_ptr<Dataset>> parts;
  if (options.split != "test") parts.push_back(open_dataset(options.data, Split::kTrain));
  if (options.split != "train") parts.push_back(open_dataset(options.data, Split::kTest));
  return pixels(parts, options.limit);
}

class Watch {
 public:
  // Since the last call, or since it was made.
  double seconds() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

void bench_embed(Options& options) {
  if (options.threads > 0) at::set_num_threads(options.threads);
  at::Tensor features = read_pixels(options);
  Watch watch;
  features = transform(fit_pca(features, {.components = options.components}), features);
  const double pca_seconds = watch.seconds();
  options.tsne.method = kMethods.at(options.method);
  const TsneResult result = tsne(features, options.tsne);
  const double seconds = watch.seconds();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const int64_t peak_memory_bytes = usage.ru_maxrss * 1024;
  const double trust = trustworthiness(features, result.map);
  if (!options.out.empty()) {
    write_safetensors({.tensors = {{"features", features}, {"map", result.map}}}, options.out);
  }
  if (options.json) {
    return print(Json{{"points", features.size(0)},
                      {"components", options.components},
                      {"method", options.method},
                      {"threads", at::get_num_threads()},
                      {"iterations", result.iterations},
                      {"pca_seconds", pca_seconds},
                      {"seconds", seconds},
                      {"divergence", result.divergence},
                      {"trustworthiness", trust},
                      {"peak_memory_bytes", peak_memory_bytes}});
  }
  print(fmt::format(
      "{} points of {} features, {} threads: {} iterations of t-SNE in {:.2f} s (PCA before: "
      "{:.2f} "
      "s); divergence {:.4f}, trustworthiness {:.4f}; at most {:.0f} MB of memory\n",
      features.size(0), options.components, at::get_num_threads(), result.iterations, seconds,
      pca_seconds, result.divergence, trust, static_cast<double>(peak_memory_bytes) / 1e6));
}

}  // namespace

void add_embed_mode(CLI::App& bench) {
  CLI::App* command = bench.add_subcommand("embed", "A map of images by t-SNE of their pixels");
  const auto options = std::make_shared<Options>();
  command->add_option("data", options->data, "A data set, as fashion-mnist")->required();
  command->add_option("--split", options->split, "train, test or all")
      ->check(CLI::IsMember({"train", "test", "all"}))
      ->capture_default_str();
  command->add_option("--limit", options->limit, "The first N images; 0: all")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--components", options->components, "Principal components before t-SNE")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--method", options->method, "auto, exact, barnes-hut or interpolation")
      ->check(CLI::IsMember({"auto", "exact", "barnes-hut", "interpolation"}))
      ->capture_default_str();
  command->add_option("--perplexity", options->tsne.perplexity, "Neighbours of a point")
      ->capture_default_str();
  command->add_option("--iterations", options->tsne.iterations, "After 250 with exaggeration")
      ->capture_default_str();
  command->add_option("--theta", options->tsne.theta, "Barnes-Hut's accuracy")
      ->capture_default_str();
  command->add_option("--learning-rate", options->tsne.learning_rate, "0: by the number of points")
      ->capture_default_str();
  command->add_option("--seed", options->tsne.seed, "Of the start");
  command->add_option("--threads", options->threads, "Threads that compute; 0: all")
      ->check(CLI::Range(0, 1024));
  command->add_option("--out", options->out, "Writes features and map: .safetensors");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { bench_embed(*options); });
}

}  // namespace striate::cli
