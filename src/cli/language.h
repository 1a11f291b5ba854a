#pragma once

#include <filesystem>

#include "cli/training_options.h"
#include "striate/sequence/language_model.h"

namespace striate::cli {

/// `resolve` for a language model. @throws UsageError  a flag that only networks for images have.
RunConfig resolve_language(const LanguageModelEntry& entry, const TrainingFlags& flags);

/// Begins the run, from weights where its configuration names some, and says so.
Trainer start_language_run(const RunConfig& config, const TrainerOptions& options);

/// Trains to the end, evaluates the best weights on the test part once, and writes the report.
Json finish_language_run(Trainer& trainer, const std::filesystem::path& run);
std::string describe_language_result(const Json& result);

/// Reads a weight file, or a run's folder: its best. @throws LookupError  of no language model.
LoadedLanguageModel open_language_model(const std::filesystem::path& path);
/// Whether a weight file, or a run's best, is of a language model.
bool holds_language_model(const std::filesystem::path& path);

struct LanguageEvaluation {
  std::string weights;
  std::string data;
  std::string part = "test";  ///< train, validation or test
  int64_t limit = 0;          ///< only the first tokens; 0: all
};
Json evaluate_language(const LanguageEvaluation& evaluation);
std::string describe_language_evaluation(const Json& report);

struct LanguageModelSize {
  int64_t vocabulary = 0;
  LanguageModelOptions options;
  int64_t parameters = 0;
};
/// By its usual recipe. @param vocabulary  0: 65 characters (tiny Shakespeare), 10,000 words (PTB).
LanguageModelSize usual_size(const LanguageModelEntry& entry, int64_t vocabulary = 0);

}  // namespace striate::cli
