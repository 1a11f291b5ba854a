#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "striate/sequence/caption_metrics.h"
#include "striate/sequence/captioner.h"
#include "striate/sequence/captions.h"
#include "striate/training/task.h"

namespace striate {

/// How captioning is trained, as a recipe's `task` has it.
struct CaptionTaskOptions {
  CaptionerOptions captioner;
  double doubly_stochastic = 1;  ///< of soft attention: the penalty's weight, xu2015's lambda
  double reinforce = 1;          ///< of hard attention: xu2015's lambda_r
  double entropy = 0.002;        ///< of hard attention: xu2015's lambda_e
  /// Captions are drawn, and those with a larger CIDEr-D than the greedy one become likelier. For
  /// weights that were trained without. (rennie2017)
  bool self_critical = false;
  int64_t least_count = 5;  ///< rarer words of the training captions become `<unk>`
};
/// @throws FormatError  a missing, unknown or impossible value.
CaptionTaskOptions caption_task_options(const Json& task, const std::string& where);

/// The vocabulary of the training captions, as `caption_tokens`.
std::vector<std::string> caption_vocabulary(const CaptionData& data, int64_t least_count);
/// The files of some images.
std::vector<std::filesystem::path> paths_of(const std::vector<CaptionedImage>& images);
/// Of each image its captions' tokens.
std::vector<std::vector<Tokens>> references_of(const std::vector<CaptionedImage>& images);

/// Training to write captions, on `captions:DIR`. The loss is the mean over words in nats; with
/// `self_critical` in training minus the mean CIDEr-D of what was drawn. The best epoch is that
/// with the largest CIDEr-D of greedy captions of the validation images. The run's class_names are
/// the vocabulary.
/// @throws Error  fewer captions than a batch has; FormatError  the vocabulary is not the run's.
/// Source: vinyals2015, xu2015, rennie2017.
std::unique_ptr<Task> make_caption_task(const RunConfig& config, const TrainerOptions& options);

/// The captioner that a run of this kind trains. @throws std::logic_error  the run is of another.
const Captioner& captioner_of(Task& task);

/// Scores of captions against what people wrote of the same images.
CaptionScores score_captions(const std::vector<Tokens>& captions,
                             const std::vector<CaptionedImage>& images);

/// For each image the first caption of the training image that is most like it, by the cosine
/// between the means of their features: what a captioner must be better than. (devlin2015)
/// @param features  (N, L, D)    @param training  (M, L, D), of the images in `captions`
std::vector<Tokens> nearest_captions(const at::Tensor& features, const at::Tensor& training,
                                     const std::vector<CaptionedImage>& captions);

}  // namespace striate
