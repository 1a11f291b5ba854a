#pragma once

#include <filesystem>
#include <vector>

#include "striate/detection/detection_data.h"

namespace striate {

/// Writes detections in COCO's format: a list of {image_id, category_id, bbox, score} and, where
/// there is a mask, segmentation.
/// @param detections  of each image.
/// @throws IoError  it can't be written; std::invalid_argument  as many lists as images are needed.
void write_detections(const std::filesystem::path& path, const std::vector<AnnotatedImage>& images,
                      const std::vector<std::vector<Detection>>& detections,
                      const std::vector<int64_t>& category_ids);

/// Reads them back, for each image in the order of the file. The box of a detection that has only a
/// mask is the mask's.
/// @throws IoError, FormatError  it can't be read, or names an image or a category that is not
/// among these; the message has the file and the detection.
std::vector<std::vector<Detection>> read_detections(const std::filesystem::path& path,
                                                    const std::vector<AnnotatedImage>& images,
                                                    const std::vector<int64_t>& category_ids);

}  // namespace striate
