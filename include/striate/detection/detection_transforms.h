#pragma once

#include <cstdint>
#include <vector>

#include "striate/detection/instance.h"
#include "striate/image/image.h"

namespace striate {

/// An image in memory and what is in it; boxes and masks are in the image's own pixels.
struct DetectionSample {
  Image image;  ///< RGB
  std::vector<Instance> instances;
};

/// @throws IoError, FormatError  the image can't be read, or has not the size that its annotation
/// says.
DetectionSample load_detection_sample(const AnnotatedImage& image);

/// Left and right exchanged, of boxes and masks too.
DetectionSample flip_horizontally(const DetectionSample& sample);

/// The image at another size (antialiased, bilinear), with its boxes, masks and areas.
/// @throws std::invalid_argument  a size below 1 or too large.
DetectionSample resize(const DetectionSample& sample, const ImageSize& size);

/// How large an image becomes, in pixels.
struct ResizeLimits {
  int64_t min_size = 800;   ///< of the shorter side, if the longer one allows it
  int64_t max_size = 1333;  ///< of the longer side
};

/// The size of the image after that, as torchvision computes it (rounded down), but at least 1.
/// @throws std::invalid_argument  a size or limit below 1.
ImageSize limited_size(const ImageSize& size, const ResizeLimits& limits);

struct BatchOptions {
  int64_t batch_size = 2;
  /// Aspect ratios (width / height) where groups of images part; images of a group share batches.
  std::vector<double> aspect_ratio_edges = {1};
  uint64_t seed = 0;
  int64_t epoch = 0;
};

/// The images of an epoch in batches, each of one group, in an order that depends on the seed and
/// the epoch alone. The last batch of a group may be smaller; none is repeated or left out.
/// @return  indices into `images`.
/// @throws std::invalid_argument  a batch size below 1, edges that don't rise.
std::vector<std::vector<int64_t>> grouped_batches(const std::vector<AnnotatedImage>& images,
                                                  const BatchOptions& options);

}  // namespace striate
