#include "detection/run_data.h"

#include <fmt/format.h>

#include "striate/base/error.h"

namespace striate {

DetectionData open_run_data(const RunConfig& config, const DetectionDataOptions& options) {
  DetectionData data = read_detection_data(config.data, options);
  if (data.class_names != config.class_names) {
    throw FormatError(fmt::format("{} has other classes than when the run began", config.data),
                      "bring back the data that the run was started with");
  }
  if (!options.without_masks) {
    for (const std::vector<AnnotatedImage>& part : data.splits) need_masks(part);
  }
  std::vector<AnnotatedImage>& training = data.splits[static_cast<size_t>(DetectionSplit::kTrain)];
  if (config.limit > 0 && config.limit < std::ssize(training)) {
    training.resize(static_cast<size_t>(config.limit));
  }
  return data;
}

}  // namespace striate
