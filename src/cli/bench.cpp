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
#include "cli/model_kind.h"
#include "cli/training_options.h"
#include "striate/models/models.h"
#include "striate/runtime/fused_network.h"
#include "striate/runtime/network.h"
#include "striate/training/losses.h"
#include "striate/training/optimizer.h"

namespace striate::cli {

namespace {

struct Options {
  StepOptions step;
  std::string convolution = "auto";
  std::string precision = "float32";
  bool fuse = true;
  std::vector<std::string> checkpoint_stages;
};

std::unique_ptr<Network> make_network(const Options& options) {
  auto network = std::make_unique<Network>(graph_for(options.step), /*seed=*/1);
  network->set_execution({.convolution = convolution_algorithm(options.convolution),
                          .fuse = options.fuse,
                          .precision = find_precision(options.precision)});
  return network;
}

rusage resources() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage;
}

void bench_training(const Options& options) {
  const ModelKind* const kind = kind_of_model(options.step.model);
  if (kind != nullptr) return kind->bench_training(options.step);
  const std::unique_ptr<Network> network = make_network(options);
  network->set_checkpoint_stages(options.checkpoint_stages);
  Optimizer optimizer(network->tensors(),
                      {.learning_rate = 1e-4, .momentum = 0.9, .weight_decay = 1e-4});
  const Graph& graph = network->graph();
  const at::Tensor images = random_images(graph, options.step.batch_size);
  const int64_t classes = graph.shape(graph.outputs().front().second)[0];
  const at::Tensor labels = at::randint(classes, {options.step.batch_size}, at::kLong);
  measure(options.step, [&] {
    const NamedValues outputs = network->forward(images, ForwardOptions{});
    const at::Tensor loss = losses::compute({}, outputs, labels);
    optimizer.zero_gradients();
    torch::autograd::backward({loss}, {});
    optimizer.step(1e-4);
  });
}

void bench_inference(const Options& options) {
  const ModelKind* const kind = kind_of_model(options.step.model);
  if (kind != nullptr) return kind->bench_inference(options.step);
  at::NoGradGuard no_grad;
  const std::unique_ptr<Network> network = make_network(options);
  network->eval();
  const at::Tensor images = random_images(network->graph(), options.step.batch_size);
  const auto predict = predictor(*network);
  measure(options.step, [&] { predict(images); });
}

void add_mode(CLI::App& bench, const std::string& name, const std::string& text,
              void (*run)(const Options&)) {
  CLI::App* command = bench.add_subcommand(name, text);
  const auto options = std::make_shared<Options>();
  add_step_flags(*command, options->step);
  command
      ->add_option("--convolution", options->convolution,
                   "How convolutions are computed: auto, direct or winograd")
      ->capture_default_str();
  command->add_option("--precision", options->precision, "float32 or bf16")->capture_default_str();
  command->add_flag("!--no-fusion", options->fuse,
                    "Run batch-norm, shortcuts and ReLUs one by one");
  if (name == "train") add_stages_flag(*command, options->checkpoint_stages);
  command->callback([options, run] { run(*options); });
}

}  // namespace

void add_step_flags(CLI::App& command, StepOptions& options) {
  command.add_option("model", options.model, "A network's name")->required();
  command.add_option("--batch-size", options.batch_size, "Images in a step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--size", options.size, "Height and width of the images")
      ->check(CLI::PositiveNumber);
  command.add_option("--steps", options.steps, "Steps that are measured")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--warmup-steps", options.warmup_steps, "Steps before")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--threads", options.threads, "Threads that compute; 0: all")
      ->check(CLI::Range(0, 1024));
  command.add_flag("--json", options.json, "Print JSON");
}

Graph graph_for(const StepOptions& options) {
  ModelOptions model = find_model(options.model).defaults;
  if (options.size > 0) model.input[1] = model.input[2] = options.size;
  return build_model(options.model, model);
}

at::Tensor random_images(const Graph& graph, int64_t batch_size) {
  at::manual_seed(1);
  Shape shape = graph.input_shape();
  shape.insert(shape.begin(), batch_size);
  return at::randn(shape);
}

void measure(const StepOptions& options, const std::function<void()>& step, const Items& items) {
  if (options.threads > 0) at::set_num_threads(options.threads);
  for (int64_t i = 0; i < options.warmup_steps; ++i) step();
  std::vector<double> seconds;
  const int64_t faults_before = resources().ru_minflt;
  for (int64_t i = 0; i < options.steps; ++i) {
    const auto start = std::chrono::steady_clock::now();
    step();
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  const int64_t fresh_pages = (resources().ru_minflt - faults_before) / options.steps;
  const int64_t peak_memory_bytes = resources().ru_maxrss * 1024;
  std::ranges::sort(seconds);
  const double median = seconds[seconds.size() / 2];
  const double speed = static_cast<double>(options.batch_size * items.count) / median;
  if (options.json) {
    return print(Json{{"model", options.model},
                      {"batch_size", options.batch_size},
                      {"items", items.count},
                      {"threads", at::get_num_threads()},
                      {"median_seconds", median},
                      {"fastest_seconds", seconds.front()},
                      {"slowest_seconds", seconds.back()},
                      {items.name + "_per_second", speed},
                      {"fresh_pages_per_step", fresh_pages},
                      {"peak_memory_bytes", peak_memory_bytes}});
  }
  print(fmt::format(
      "{}, batches of {}, {} threads: {:.1f} {}/s (median of {} steps {:.4f} s, {:.4f} to "
      "{:.4f}), {} fresh pages a step; at most {:.0f} MB of memory\n",
      options.model, options.batch_size, at::get_num_threads(), speed, items.name, options.steps,
      median, seconds.front(), seconds.back(), fresh_pages,
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
  add_proposals_mode(*command);
}

}  // namespace striate::cli
