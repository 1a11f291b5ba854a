#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "striate/detection/average_precision.h"
#include "striate/detection/detection_data.h"
#include "striate/detection/detector_file.h"
#include "striate/training/task.h"

namespace striate {

/// How a detector is trained, as a recipe's `task` has it, beside the detector's own options.
struct DetectionTaskOptions {
  DetectorOptions detector;
  std::string backbone_weights;   ///< a file of a network for images; "": drawn
  double flip_probability = 0.5;  ///< of left and right
  /// Where proposals come from outside: the best so many of selective search.
  int64_t outside_proposals = 2000;
  bool lenient = false;  ///< leave out wrong objects, as `DetectionDataOptions`
};
/// @param usual  what the detector is made of where the task does not say it.
/// @throws FormatError  an unknown or impossible value.
DetectionTaskOptions detection_task_options(const Json& task, const DetectorOptions& usual,
                                            const std::string& where);
Json to_json(const DetectionTaskOptions& options);

/// Training on `coco:`, `voc:` or `masks:`. The loss is the sum of the detector's losses; the best
/// epoch is that with the largest COCO average precision on the validation images (of masks, where
/// the detector has them). The run's class_names are the data's.
/// @throws Error  fewer images than a batch has, or other classes than the run's.
/// Source: girshick2015, ren2015, he2017.
std::unique_ptr<Task> make_detection_task(const RunConfig& config, const TrainerOptions& options);

/// The detector that a run of this kind trains. @throws std::logic_error  the run is of another.
const NamedDetector& detector_of(Task& task);
/// The data that it is trained on, likewise.
const DetectionData& detector_data_of(Task& task);

/// Proposals of selective search, kept for each image that was asked for.
class SearchedProposals {
 public:
  /// @param count  at most so many of an image
  explicit SearchedProposals(int64_t count) : count_(count) {}

  /// (P, 4), the likeliest first. @param image  the file's pixels
  at::Tensor of(const std::string& path, const Image& image);

 private:
  int64_t count_;
  std::map<std::string, at::Tensor> kept_;
};

/// What a detector finds in each of some images.
/// @param proposals  used where the detector has none of its own
/// @param progress   called with the number of images done; may be empty
std::vector<std::vector<Detection>> detect_in(Detector& detector,
                                              const std::vector<AnnotatedImage>& images,
                                              SearchedProposals& proposals,
                                              const std::function<void(int64_t)>& progress = {});

}  // namespace striate
