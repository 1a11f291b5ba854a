#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>

#include "cli/bench.h"
#include "cli/command.h"
#include "cli/training_options.h"
#include "striate/models/models.h"
#include "striate/runtime/fused_network.h"
#include "striate/runtime/network.h"
#include "striate/training/losses.h"
#include "striate/training/optimizer.h"

namespace striate::cli {

namespace {

struct Options {
  std::string model;
  int64_t batch_size = 16;
  int64_t size = 0;  // 0: the network's own
  int64_t steps = 5;
  int64_t warmup_steps = 2;
  int threads = 0;  // 0: all
  std::string convolution = "auto";
  std::string precision = "float32";
  bool fuse = true;
  std::vector<std::string> checkpoint_stages;
  bool json = false;
};

// Random images of the network's input, and labels.
struct Batch {
  at::Tensor images;
  at::Tensor labels;
};

std::unique_ptr<Network> make_network(const Options& options) {
  ModelOptions model = find_model(options.model).defaults;
  if (options.size > 0) model.input[1] = model.input[2] = options.size;
  auto network = std::make_unique<Network>(build_model(options.model, model), /*seed=*/1);
  network->set_execution({.convolution = convolution_algorithm(options.convolution),
                          .fuse = options.fuse,
                          .precision = find_precision(options.precision)});
  return network;
}

Batch random_batch(const Graph& graph, int64_t batch_size) {
  at::manual_seed(1);
  Shape shape = graph.input_shape();
  shape.insert(shape.begin(), batch_size);
  const int64_t classes = graph.shape(graph.outputs().front().second)[0];
  return {at::randn(shape), at::randint(classes, {batch_size}, at::kLong)};
}

rusage resources() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage;
}

Measurement measurement(const Options& options) {
  return {.model = options.model,
          .batch_size = options.batch_size,
          .steps = options.steps,
          .warmup_steps = options.warmup_steps,
          .json = options.json};
}

void bench_training(const Options& options) {
  const LanguageModelEntry* const language = find_language_model(options.model);
  if (language != nullptr) return bench_language(*language, measurement(options));
  const std::unique_ptr<Network> network = make_network(options);
  network->set_checkpoint_stages(options.checkpoint_stages);
  Optimizer optimizer(network->tensors(),
                      {.learning_rate = 1e-4, .momentum = 0.9, .weight_decay = 1e-4});
  const Batch batch = random_batch(network->graph(), options.batch_size);
  measure(measurement(options), [&] {
    const NamedValues outputs = network->forward(batch.images, ForwardOptions{});
    const at::Tensor loss = losses::compute({}, outputs, batch.labels);
    optimizer.zero_gradients();
    torch::autograd::backward({loss}, {});
    optimizer.step(1e-4);
  });
}

void bench_inference(const Options& options) {
  at::NoGradGuard no_grad;
  const std::unique_ptr<Network> network = make_network(options);
  network->eval();
  const Batch batch = random_batch(network->graph(), options.batch_size);
  const auto predict = predictor(*network);
  measure(measurement(options), [&] { predict(batch.images); });
}

void add_mode(CLI::App& bench, const std::string& name, const std::string& text,
              void (*run)(const Options&)) {
  CLI::App* command = bench.add_subcommand(name, text);
  const auto options = std::make_shared<Options>();
  command->add_option("model", options->model, "A network's name")->required();
  command->add_option("--batch-size", options->batch_size, "Images in a step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--size", options->size, "Height and width of the images")
      ->check(CLI::PositiveNumber);
  command->add_option("--steps", options->steps, "Steps that are measured")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--warmup-steps", options->warmup_steps, "Steps before")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Threads that compute; 0: all")
      ->check(CLI::Range(0, 1024));
  command
      ->add_option("--convolution", options->convolution,
                   "How 3x3 convolutions are computed: auto, direct or winograd")
      ->capture_default_str();
  command->add_option("--precision", options->precision, "float32 or bf16")->capture_default_str();
  command->add_flag("!--no-fusion", options->fuse,
                    "Run batch-norm, shortcuts and ReLUs one by one");
  if (name == "train") add_stages_flag(*command, options->checkpoint_stages);
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, run] {
    if (options->threads > 0) at::set_num_threads(options->threads);
    run(*options);
  });
}

}  // namespace

void measure(const Measurement& measurement, const std::function<void()>& step) {
  for (int64_t i = 0; i < measurement.warmup_steps; ++i) step();
  std::vector<double> seconds;
  const int64_t faults_before = resources().ru_minflt;
  for (int64_t i = 0; i < measurement.steps; ++i) {
    const auto start = std::chrono::steady_clock::now();
    step();
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  const int64_t fresh_pages = (resources().ru_minflt - faults_before) / measurement.steps;
  const int64_t peak_memory_bytes = resources().ru_maxrss * 1024;
  std::ranges::sort(seconds);
  const double median = seconds[seconds.size() / 2];
  const int64_t items = measurement.batch_size * measurement.chunk;
  const double speed = static_cast<double>(items) / median;
  if (measurement.json) {
    return print(Json{{"model", measurement.model},
                      {"batch_size", measurement.batch_size},
                      {"chunk", measurement.chunk},
                      {"threads", at::get_num_threads()},
                      {"median_seconds", median},
                      {"fastest_seconds", seconds.front()},
                      {"slowest_seconds", seconds.back()},
                      {measurement.unit + "_per_second", speed},
                      {"fresh_pages_per_step", fresh_pages},
                      {"peak_memory_bytes", peak_memory_bytes}});
  }
  print(fmt::format(
      "{}, batches of {}, {} threads: {:.1f} {}/s (median of {} steps {:.4f} s, {:.4f} to "
      "{:.4f}), {} fresh pages a step; at most {:.0f} MB of memory\n",
      measurement.model, measurement.batch_size, at::get_num_threads(), speed, measurement.unit,
      measurement.steps, median, seconds.front(), seconds.back(), fresh_pages,
      static_cast<double>(peak_memory_bytes) / 1e6));
}

void add_bench(CLI::App& program) {
  CLI::App* command = program.add_subcommand("bench", "Measure speed and memory");
  command->require_subcommand(1);
  add_mode(*command, "train", "Training steps on random images or tokens", bench_training);
  add_mode(*command, "infer", "Predictions of random images", bench_inference);
  add_data_mode(*command);
  add_embed_mode(*command);
  add_look_mode(*command);
}

}  // namespace striate::cli
