#include <memory>

#include "cli/command.h"
#include "cli/language.h"

namespace striate::cli {

namespace {

struct Options {
  std::string weights;
  SamplingOptions sampling;
  bool json = false;
};

void sample(const Options& options) {
  const LoadedLanguageModel model = open_language_model(options.weights);
  std::string text;
  sample_text(model, options.sampling, [&](const std::string& piece) {
    options.json ? void(text += piece) : stream(piece);
  });
  if (!options.json) return stream("\n");
  print(Json{{"model", model.entry->name},
             {"temperature", options.sampling.temperature},
             {"seed", options.sampling.seed},
             {"text", text}});
}

}  // namespace

void add_sample(CLI::App& program) {
  CLI::App* command = program.add_subcommand("sample", "Let a language model write");
  const auto options = std::make_shared<Options>();
  SamplingOptions& sampling = options->sampling;
  command->add_option("weights", options->weights, "A weight file or run folder")->required();
  command->add_option("--prompt", sampling.prompt, "What the text begins with");
  command
      ->add_option("--temperature", sampling.temperature,
                   "Below 1 likely tokens become likelier, above 1 less so")
      ->capture_default_str();
  command->add_option("--length", sampling.length, "Characters or words to write")
      ->capture_default_str();
  command->add_option("--seed", sampling.seed, "What is drawn comes from this")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { sample(*options); });
}

}  // namespace striate::cli
