#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/model_file.h"
#include "striate/base/text.h"
#include "striate/models/models.h"

namespace striate::cli {

namespace {

struct Options {
  std::string in;
  std::string out;
  ModelFileOptions model;
  bool json = false;
};

void convert(const Options& options) {
  if (options.model.model.empty() &&
      (!options.model.preprocess.empty() || !options.model.classes.empty())) {
    throw UsageError("--preprocess and --classes say nothing without --model");
  }
  Weights weights = read_weights(options.in);
  if (!options.model.model.empty()) {
    // Checks that the weights fit, and lets the new file say what it is.
    LoadedModel model = load_model(options.in, options.model);
    if (!model.names_its_classes) model.card.class_names.clear();
    std::map<std::string, std::string> metadata = to_metadata(model.card);
    // What the old network said of itself does not hold for the new.
    weights.metadata.erase("striate.final_survival");
    metadata.merge(weights.metadata);
    weights.metadata = std::move(metadata);
  }
  write_safetensors(weights, options.out);
  int64_t values = 0;
  for (const auto& [key, tensor] : weights.tensors) values += tensor.numel();
  const Json report = {{"out", options.out},
                       {"tensors", weights.tensors.size()},
                       {"values", values},
                       {"model", options.model.model}};
  options.json ? print(report)
               : print(fmt::format("{}: {} tensors, {} values\n", options.out,
                                   weights.tensors.size(), with_thousands(values)));
}

}  // namespace

void add_convert(CLI::App& program) {
  CLI::App* command = program.add_subcommand("convert", "A .pth file to safetensors");
  const auto options = std::make_shared<Options>();
  command->add_option("in", options->in, "A .pth or safetensors file")->required();
  command->add_option("out", options->out, "The safetensors file to write")->required();
  command->add_option("--model", options->model.model,
                      "Its network: checks the weights, and the new file says it");
  command->add_option("--preprocess", options->model.preprocess, "How its images are prepared");
  command->add_option("--classes", options->model.classes,
                      "A file with its classes' names, one a line");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { convert(*options); });
}

}  // namespace striate::cli
