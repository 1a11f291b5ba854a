#pragma once

#include <filesystem>
#include <string>

#include "striate/detection/detection_data.h"

namespace striate {

DetectionData read_coco(const std::filesystem::path& folder, const DetectionDataOptions& options);
DetectionData read_voc(const std::filesystem::path& folder, const DetectionDataOptions& options);
DetectionData read_mask_folders(const std::filesystem::path& folder,
                                const DetectionDataOptions& options);

/// What is wrong with the box of an object in an image of that size; "" if nothing is.
std::string box_problem(const Box& box, const ImageSize& image);

/// Counts an object that can't be used. @throws FormatError  unless `lenient`.
/// @param place  the file and the object, for the message.
void drop_object(const std::string& place, const std::string& problem,
                 const DetectionDataOptions& options, DetectionData& data);

/// @throws IoError  the image has no file and is needed.
void need_image(const std::filesystem::path& path, const DetectionDataOptions& options);

}  // namespace striate
