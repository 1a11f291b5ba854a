#include "striate/detection/draw_detections.h"
namespace striate {
Image draw_detections(const Image& image, const std::vector<Detection>&,
                      const std::vector<std::string>&) {
  return image;
}
}  // namespace striate
