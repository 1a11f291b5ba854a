#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "striate/detection/detector.h"

namespace striate {

/// Images brought to one scale, in one tensor.
struct ImageBatch {
  at::Tensor images;                 // (N, 3, H, W), normalised, zeros below and to the right
  std::vector<ImageSize> sizes;      // of each image in it
  std::vector<ImageSize> originals;  // as they came

  ImageSize padded() const { return {images.size(3), images.size(2)}; }
};

/// (3, H, W) in [0, 1] as networks of the registry were trained with: ImageNet's mean and
/// deviation.
at::Tensor normalised(const at::Tensor& image);

/// @param random  in training it draws the size of each image; none: all are at `min_size`
ImageBatch batch_images(const std::vector<at::Tensor>& images, const DetectorOptions& options,
                        at::ScalarType type, Random* random = nullptr);

/// Boxes (N, 4) of an image that becomes another size.
at::Tensor resize_boxes(const at::Tensor& boxes, const ImageSize& from, const ImageSize& to);

}  // namespace striate
