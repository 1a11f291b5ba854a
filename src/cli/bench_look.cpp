#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/bench.h"
#include "cli/command.h"
#include "striate/models/models.h"
#include "striate/runtime/network.h"
#include "striate/visualization/attribution.h"

namespace striate::cli {

namespace {

struct Options {
  std::string method;
  std::string model;
  int64_t batch_size = 8;
  int64_t size = 0;  // 0: the network's own
  int64_t steps = 3;
  int64_t warmup_steps = 1;
  int threads = 0;  // 0: all
  bool json = false;
};

using Look = std::function<at::Tensor(const Network&, const at::Tensor&, const Target&)>;

// In the header's order; options that are not written here are the library's defaults.
const std::map<std::string, Look>& methods() {
  static const std::map<std::string, Look> all = {
      {"saliency", saliency},
      {"guided", guided_backprop},
      {"gradcam",
       [](const Network& network, const at::Tensor& images, const Target& target) {
         return grad_cam(network, images, target, default_layer(network.graph()));
       }},
      {"smoothgrad",
       [](const Network& network, const at::Tensor& images, const Target& target) {
         return smooth_grad(network, images, target, SmoothGradOptions{});
       }},
      {"integrated",
       [](const Network& network, const at::Tensor& images, const Target& target) {
         return integrated_gradients(network, images, target, {.steps = 32});
       }},
      {"occlusion",
       [](const Network& network, const at::Tensor& images, const Target& target) {
         return occlusion(network, images, target, {.window = 32, .stride = 16});
       }},
  };
  return all;
}

std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const auto& [name, look] : methods()) names.push_back(name);
  return names;
}

void bench_look(const Options& options) {
  ModelOptions model = find_model(options.model).defaults;
  if (options.size > 0) model.input[1] = model.input[2] = options.size;
  const Network network(build_model(options.model, model), /*seed=*/1);
  at::manual_seed(1);
  Shape shape = network.graph().input_shape();
  shape.insert(shape.begin(), options.batch_size);
  const at::Tensor images = at::randn(shape);
  const Target target = same_target(options.batch_size, 0);
  const Look& look = methods().at(options.method);
  measure({.model = options.model,
           .batch_size = options.batch_size,
           .steps = options.steps,
           .warmup_steps = options.warmup_steps,
           .json = options.json},
          [&] { look(network, images, target); });
}

}  // namespace

void add_look_mode(CLI::App& bench) {
  CLI::App* command = bench.add_subcommand("look", "What a network looks at in random images");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("method", options->method,
                   "saliency, guided, gradcam, smoothgrad, integrated (32 steps) or occlusion "
                   "(window 32, stride 16)")
      ->required()
      ->check(CLI::IsMember(method_names()));
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
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] {
    if (options->threads > 0) at::set_num_threads(options->threads);
    bench_look(*options);
  });
}

}  // namespace striate::cli
