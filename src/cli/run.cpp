#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>

#include "cli/command.h"
#include "cli/model_file.h"
#include "striate/base/error.h"
#include "striate/models/models.h"
#include "striate/runtime/network.h"
#include "striate/training/losses.h"

namespace striate::cli {

namespace {

struct Options {
  std::string model;
  std::string weights;
  std::string input;
  std::string output;
  std::vector<std::string> nodes;
  int64_t gradient = -1;
  std::string mode = "evaluate";
  std::vector<int64_t> labels;
  bool json = false;
};

at::Tensor read_input(const std::string& path) {
  const Weights file = read_weights(path);
  const auto found = file.tensors.find("input");
  if (found == file.tensors.end()) {
    throw FormatError(fmt::format("{} has no tensor \"input\"", path),
                      "the images: (N, C, H, W) float32 or float64, normalised");
  }
  const at::ScalarType type = found->second.scalar_type();
  if (found->second.dim() != 4 || (type != at::kFloat && type != at::kDouble) ||
      found->second.size(0) < 1) {
    throw ShapeError(
        fmt::format("{}: \"input\" must be (N, C, H, W) of float32 or float64, got {} {}", path,
                    to_string(found->second.sizes().vec()), toString(type)));
  }
  return found->second;
}

at::Tensor read_labels(const Options& options, const at::Tensor& logits) {
  if (static_cast<int64_t>(options.labels.size()) != logits.size(0)) {
    throw std::invalid_argument(
        fmt::format("--labels needs one label for each of {} images, got {}", logits.size(0),
                    options.labels.size()));
  }
  for (const int64_t label : options.labels) {
    if (label < 0 || label >= logits.size(1)) {
      throw std::invalid_argument(
          fmt::format("label {} is not in 0 … {}", label, logits.size(1) - 1));
    }
  }
  return at::tensor(options.labels);
}

// One training step's numbers: the loss of the model's recipe, its gradients, the new statistics.
void add_training_step(Network& network, const Options& options, const at::Tensor& logits,
                       Weights& out) {
  const LossOptions loss_options = named_recipe(find_model(options.model).recipe).loss;
  const at::Tensor loss =
      losses::compute({.kind = loss_options.kind}, logits, read_labels(options, logits));
  torch::autograd::backward({loss}, {});
  out.tensors["loss"] = loss.detach().reshape({1});
  for (size_t i = 0; i < network.specs().size(); ++i) {
    const auto& [key, tensor] = network.tensors()[i];
    if (network.specs()[i].kind == TensorSpec::Kind::kParameter) {
      // A branch that this step left out has none.
      out.tensors["grad/" + key] = tensor.grad().defined() ? tensor.grad() : at::zeros_like(tensor);
    } else {
      out.tensors[key] = tensor;
    }
  }
}

void print_written(const Weights& out, const Options& options) {
  Json shapes = Json::object();
  std::string text;
  for (const auto& [name, tensor] : out.tensors) {
    shapes[name] = tensor.sizes().vec();
    text += fmt::format("{} {}\n", name, to_string(tensor.sizes().vec()));
  }
  options.json ? print(Json{{"output", options.output}, {"tensors", shapes}}) : print(text);
}

void run(const Options& options) {
  at::Tensor images = read_input(options.input);
  const Weights weights = read_weights(options.weights);
  ModelOptions model = options_of_weights(options.model, weights);
  model.input = images.sizes().slice(1).vec();
  const WeightsCard card = card_from_metadata(weights.metadata, options.weights);
  model.final_survival = survival_of(card, options.model);
  // PyTorch's layout, so that its users find its rounding, too.
  Graph graph = build_model(options.model, model);
  check_weights_or_explain(graph, weights, options.weights);
  Network network(std::move(graph), weights, Layout::kContiguous);
  network.to(images.scalar_type());
  const bool training = options.mode == "train";
  if (!training && !options.labels.empty()) {
    throw std::invalid_argument("--labels needs --mode train");
  }
  network.train(training);

  // Without a gradient, values are freed after their last use.
  const at::AutoGradMode with_gradients(training || options.gradient >= 0);
  if (options.gradient >= 0) images = images.clone().requires_grad_();
  const NamedValues values = network.forward(images, {.taps = options.nodes});
  Weights out;
  for (const auto& [name, value] : values) out.tensors[name] = value.detach();
  const at::Tensor logits = values.at(network.graph().outputs().front().first);
  if (options.gradient >= logits.size(1)) {
    throw std::invalid_argument(
        fmt::format("--gradient {} is not in 0 … {}", options.gradient, logits.size(1) - 1));
  }
  if (options.gradient >= 0) {
    const at::Tensor score = logits.select(1, options.gradient).sum();
    out.tensors["input_gradient"] = torch::autograd::grad({score}, {images}, {}, training)[0];
  }
  if (training) add_training_step(network, options, logits, out);
  write_safetensors(out, options.output);
  print_written(out, options);
}

}  // namespace

void add_run(CLI::App& program) {
  CLI::App* command = program.add_subcommand("run", "Tensors in, tensors out, at any node");
  const auto options = std::make_shared<Options>();
  command->add_option("model", options->model, "A network's name")->required();
  command->add_option("--weights", options->weights, "Its weights")->required();
  command->add_option("--input", options->input, "A safetensors file with a tensor \"input\"")
      ->required();
  command->add_option("--output", options->output, "The safetensors file to write")->required();
  command->add_option("--node", options->nodes, "Also write this node's value; repeatable");
  command
      ->add_option("--gradient", options->gradient,
                   "Also write the gradient of this class's summed scores for the input")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--mode", options->mode, "evaluate or train")
      ->check(CLI::IsMember({"evaluate", "train"}))
      ->capture_default_str();
  command->add_option("--labels", options->labels, "The images' classes, for --mode train: 1,22,…")
      ->delimiter(',');
  command->add_flag("--json", options->json, "Print what was written as JSON");
  command->callback([options] { run(*options); });
}

}  // namespace striate::cli
