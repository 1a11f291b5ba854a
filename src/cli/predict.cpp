#include <fmt/format.h>

#include <functional>
#include <memory>

#include "cli/command.h"
#include "cli/model_file.h"
#include "cli/model_kind.h"
#include "striate/runtime/fused_network.h"
#include "striate/runtime/network.h"

namespace striate::cli {

namespace {

struct Options {
  std::string weights;
  std::vector<std::string> images;
  ModelFileOptions model;
  int64_t top = 5;
  std::optional<int64_t> beams;
  std::optional<double> score;
  std::optional<std::string> out;
  bool json = false;
};

using Predictor = std::function<at::Tensor(const at::Tensor&)>;

// (C): the average over the views of one image.
at::Tensor probabilities(const LoadedModel& model, const Predictor& logits_of,
                         const std::string& path) {
  at::NoGradGuard no_grad;
  return logits_of(prepare_image(model, path)).softmax(1).mean(0);
}

void predict_classes(const Options& options) {
  const LoadedModel model = load_model(options.weights, options.model);
  const auto logits_of = predictor(*model.network);
  Json report = Json::array();
  std::string text;
  for (const std::string& path : options.images) {
    const at::Tensor p = probabilities(model, logits_of, path);
    const auto [values, classes] = p.topk(std::min(options.top, p.size(0)));
    Json top = Json::array();
    text += path + "\n";
    for (int64_t i = 0; i < values.size(0); ++i) {
      const std::string& name =
          model.card.class_names.at(static_cast<size_t>(classes[i].item<int64_t>()));
      const double probability = values[i].item<double>();
      top.push_back(
          {{"class", name}, {"index", classes[i].item<int64_t>()}, {"probability", probability}});
      text += fmt::format("  {:6.2f} %  {}\n", 100 * probability, name);
    }
    report.push_back({{"image", path}, {"top", top}});
  }
  options.json ? print(report) : print(text);
}

void predict_images(const Options& options) {
  const ModelKind* const kind = kind_of_file(options.weights);
  if (kind == nullptr && options.beams.has_value()) {
    throw UsageError("--beam has no meaning for classes of images", "leave it out");
  }
  if (kind == nullptr && (options.out.has_value() || options.score.has_value())) {
    throw UsageError("--out and --score have a meaning for detectors only", "leave them out");
  }
  if (kind == nullptr) return predict_classes(options);
  kind->predict({.weights = options.weights,
                 .images = options.images,
                 .beams = options.beams,
                 .score = options.score,
                 .out = options.out,
                 .json = options.json});
}

}  // namespace

void add_predict(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "predict", "The classes of images, their captions, or the objects in them");
  const auto options = std::make_shared<Options>();
  command->add_option("weights", options->weights, "A weight file or run folder")->required();
  command->add_option("images", options->images, "JPEG or PNG files")->required();
  command->add_option("--top", options->top, "How many classes to show")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--beam", options->beams, "Captions that a search keeps at each step")
      ->check(CLI::Range(1, 100));
  command->add_option("--score", options->score, "Detectors: the least score that is told")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--out", options->out, "Detectors: a folder for pictures of what is found");
  add_model_flags(*command, options->model);
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { predict_images(*options); });
}

}  // namespace striate::cli
