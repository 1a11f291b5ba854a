#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "striate/detection/detection_data.h"
#include "striate/detection/rcnn.h"
#include "striate/training/task.h"

namespace striate {

/// An R-CNN that the program knows by name.
struct RcnnEntry {
  std::string name;
  std::string form;    ///< one line: what it is
  std::string recipe;  ///< the usual one
  RcnnOptions options;
};
const std::vector<RcnnEntry>& rcnns();
/// Null: none has that name.
const RcnnEntry* find_rcnn(const std::string& name);

/// An R-CNN with the names of its classes.
struct NamedRcnn {
  std::string name;
  std::shared_ptr<Rcnn> rcnn;
  std::vector<std::string> class_names;
};
std::map<std::string, std::string> rcnn_metadata(const NamedRcnn& rcnn);
bool is_rcnn(const Weights& weights);
/// @param origin  what they are, for messages
/// @throws LookupError  they are no R-CNN's; FormatError  what they say is damaged; ShapeError
/// keys or shapes are not its own.
NamedRcnn load_rcnn(const Weights& weights, const std::string& origin);

/// How an R-CNN is trained, as a recipe's `task` has it, beside its own options.
struct RcnnTaskOptions {
  RcnnOptions rcnn;
  std::string backbone_weights;  ///< a file of a network for images; "": drawn
  bool lenient = false;          ///< leave out wrong objects, as `DetectionDataOptions`
};
/// @throws FormatError  an unknown or impossible value.
RcnnTaskOptions rcnn_task_options(const Json& task, const RcnnOptions& usual,
                                  const std::string& where);
Json to_json(const RcnnTaskOptions& options);

/// Training on `coco:`, `voc:` or `masks:`. An epoch looks at the regions of every image, whose
/// features are kept in the cache, and at its end fits the machines and the regression to all of
/// them: a second one changes nothing. The loss is the hinge loss of the machines so far. The
/// run's class_names are the data's.
/// @throws Error  other classes than the run's.
/// Source: girshick2014.
std::unique_ptr<Task> make_rcnn_task(const RunConfig& config, const TrainerOptions& options);
/// What a run of this kind trains. @throws std::logic_error  the run is of another.
const NamedRcnn& rcnn_of(Task& task);
/// The data that it is trained on, likewise.
const DetectionData& rcnn_data_of(Task& task);

/// What an R-CNN finds in each of some images, whose features are kept in the cache.
/// @param progress  called with the number of images done; may be empty
std::vector<std::vector<Detection>> detect_in(Rcnn& rcnn, const std::vector<AnnotatedImage>& images,
                                              const std::function<void(int64_t)>& progress = {});
/// In an image that is in no data set.
std::vector<Detection> detect_in(Rcnn& rcnn, const Image& image);

}  // namespace striate
