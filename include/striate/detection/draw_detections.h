#pragma once

#include <string>
#include <vector>

#include "striate/detection/instance.h"
#include "striate/image/image.h"

namespace striate {

/// The image with each detection's box, its class and score above it, and its mask as a tint.
/// Higher scores are drawn over lower ones; each class has a colour of its own, until they repeat.
/// @return  RGB, as large as the image.
/// @throws std::invalid_argument  a label without a name, or a mask of another size.
Image draw_detections(const Image& image, const std::vector<Detection>& detections,
                      const std::vector<std::string>& class_names);

/// The same of what people marked, without scores; ignored objects are grey, and classes without
/// a name have no label.
Image draw_instances(const Image& image, const std::vector<Instance>& instances,
                     const std::vector<std::string>& class_names);

}  // namespace striate
