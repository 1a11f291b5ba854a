#pragma once

#include "striate/detection/detection_data.h"
#include "striate/training/run.h"

namespace striate {

/// The data of a run that finds objects, with as many training images as the run's limit says.
/// @throws FormatError  it has other classes than the run, or no masks where they are read; else as
/// `read_detection_data`.
DetectionData open_run_data(const RunConfig& config, const DetectionDataOptions& options);

}  // namespace striate
