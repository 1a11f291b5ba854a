// striate look attention: where each word looked.
#include <memory>

#include "cli/look.h"
#include "cli/model_kind.h"

namespace striate::cli {

namespace {

void look_attention(const AttentionRequest& request) {
  const ModelKind* const kind = kind_of_file(request.weights);
  if (kind == nullptr) {
    throw UsageError(request.weights + " holds a network for images, which has no attention",
                     "striate look --help lists what can be seen of it");
  }
  kind->look_attention(request);
}

}  // namespace

void add_look_attention(CLI::App& look) {
  CLI::App* command = look.add_subcommand("attention", "Where each word that was written looked");
  const auto request = std::make_shared<AttentionRequest>();
  command->add_option("weights", request->weights, "A weight file or run folder")->required();
  command->add_option("inputs", request->inputs, "Sentences to translate, or images to caption")
      ->required();
  command->add_option("--out", request->out, "The folder for pictures")->required();
  command->add_option("--beam", request->beams, "Sentences that a search keeps at each step")
      ->check(CLI::Range(1, 100));
  command->add_flag("--json", request->json, "Print JSON");
  command->callback([request] { look_attention(*request); });
}

}  // namespace striate::cli
