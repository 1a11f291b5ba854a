#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/bench.h"
#include "cli/command.h"
#include "striate/runtime/network.h"
#include "striate/visualization/attribution.h"

namespace striate::cli {

namespace {

struct Options {
  StepOptions step;
  std::string method;
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
  const Network network(graph_for(options.step), /*seed=*/1);
  const at::Tensor images = random_images(network.graph(), options.step.batch_size);
  const Target target = same_target(options.step.batch_size, 0);
  const Look& look = methods().at(options.method);
  measure(options.step, [&] { look(network, images, target); });
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
  options->step.batch_size = 8;
  options->step.steps = 3;
  options->step.warmup_steps = 1;
  add_step_flags(*command, options->step);
  command->callback([options] { bench_look(*options); });
}

}  // namespace striate::cli
