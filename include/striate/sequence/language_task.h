#pragma once

#include <memory>

#include "striate/sequence/language_model.h"
#include "striate/training/task.h"

namespace striate {

/// How a language model is trained, as a recipe's `task` has it.
struct LanguageTaskOptions {
  LanguageModelOptions model;
  int64_t chunk = 0;          ///< tokens through which a gradient goes back
  int64_t minimum_count = 1;  ///< rarer words of the training text become `<unk>`
};
/// @throws FormatError  a missing, unknown or impossible value.
LanguageTaskOptions language_task_options(const Json& task, const std::string& where);

/// A run's data as numbers.
struct EncodedText {
  TextVocabulary vocabulary;
  at::Tensor training;    ///< (n) int64
  at::Tensor validation;  ///< likewise
  at::Tensor test;        ///< likewise
};
EncodedText open_encoded_text(const std::string& data, TextUnit unit, int64_t minimum_count);

/// Training a language model by truncated backpropagation through time (werbos1990): the text is
/// cut into batch_size streams beside each other and these into chunks; the state goes from chunk
/// to chunk, gradients do not. The run's class_names are the vocabulary.
/// @throws Error  the text is too short for a chunk; FormatError  its vocabulary is not the run's.
std::unique_ptr<Task> make_language_task(const RunConfig& config, const TrainerOptions& options);

/// The model that a run of this kind trains. @throws std::logic_error  the run is of another.
LanguageModel& language_model_of(Task& task);

}  // namespace striate
