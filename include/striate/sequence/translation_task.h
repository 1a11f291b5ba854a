#pragma once

#include <memory>
#include <string>
#include <vector>

#include "striate/base/random.h"
#include "striate/sequence/translation.h"
#include "striate/training/task.h"

namespace striate {

/// How a model that translates is trained, as a recipe's `task` has it.
struct TranslationTaskOptions {
  TranslationModelOptions model;
  SentenceCodecOptions codec;
  double label_smoothing = 0;  ///< as in losses::cross_entropy
  /// Tokens that the model has drawn itself stand in the place of the true ones before: a share of
  /// them that grows from 0 at the first batch to this at the last. (bengio2015, with linear decay)
  double scheduled_sampling = 0;
  int64_t longest = 100;  ///< pairs with more parts on a side are left out of training
};
/// @throws FormatError  a missing, unknown or impossible value.
TranslationTaskOptions translation_task_options(const Json& task, const std::string& where);

/// A model that has learned nothing yet, with the languages of its training pairs.
Translator make_translator(const std::string& model, const SentencePairs& training,
                           const TranslationTaskOptions& options, uint64_t seed);

/// What a run's class_names are: the parts that the source has, then those of the target.
std::vector<std::string> parts_of_both(const Translator& translator);
/// How many are of each. @throws FormatError  these are no parts of two languages.
TranslationModelSizes sizes_of_both(const std::vector<std::string>& parts);

/// The batches of an epoch, indices of pairs: those of a batch are of similar length, and what is
/// too few for a batch is left out.
std::vector<std::vector<int64_t>> batches_of_similar_length(const EncodedPairs& pairs,
                                                            int64_t batch_size, Random& random);

/// The decoder's inputs with a share of their tokens, but never `<bos>`, drawn by the model itself
/// from what stands before them. @param inputs  (T, N)
at::Tensor scheduled_inputs(TranslationModel& model, const std::vector<at::Tensor>& state,
                            const at::Tensor& inputs, double share);

/// Training a model that translates, on `pairs:FILE_A:FILE_B`; the best epoch is that of the lowest
/// validation loss. The run's class_names are those of `parts_of_both`.
/// @throws Error  fewer pairs than a batch has; FormatError  the parts are not the run's.
std::unique_ptr<Task> make_translation_task(const RunConfig& config, const TrainerOptions& options);

/// The translator that a run of this kind trains. @throws std::logic_error  the run is of another.
const Translator& translator_of(Task& task);

}  // namespace striate
