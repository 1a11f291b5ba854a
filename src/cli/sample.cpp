#include <memory>

#include "cli/command.h"
#include "cli/model_kind.h"

namespace striate::cli {

namespace {

void sample(const SampleRequest& request) {
  const ModelKind* const kind = kind_of_file(request.weights);
  if (kind == nullptr) {
    throw LookupError(request.weights + " holds a network for images, which makes nothing up",
                      "striate train char_lstm --data text:FILE makes what does");
  }
  kind->sample(request);
}

}  // namespace

void add_sample(CLI::App& program) {
  CLI::App* command = program.add_subcommand("sample", "Let a model make something up");
  const auto request = std::make_shared<SampleRequest>();
  command->add_option("weights", request->weights, "A weight file or run folder")->required();
  command->add_option("--prompt", request->prompt, "What a text begins with");
  command->add_option("--temperature", request->temperature,
                      "Below 1 likely tokens become likelier, above 1 less so (default: 1)");
  command->add_option("--length", request->length, "Characters or words to write (default: 500)");
  command->add_option("--count", request->count, "Pictures to make (default: 25)");
  command->add_option("--out", request->out, "The folder for pictures");
  command->add_option("--seed", request->seed, "What is drawn comes from this")
      ->capture_default_str();
  command->add_flag("--json", request->json, "Print JSON");
  command->callback([request] { sample(*request); });
}

}  // namespace striate::cli
