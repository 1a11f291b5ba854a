#pragma once

#include <vector>

#include "detection/image_batch.h"

namespace striate {

/// Reads regions from feature maps: of a pyramid, each from the map that suits its size.
/// @param maps     finest first, those that heads see
/// @param regions  of each image, (R, 4) in pixels of the batch
/// @param size     values along a side of a region's grid
/// @return         (R of all images, C, size, size)
/// Source: lin2017, eq. 1.
at::Tensor read_regions(const std::vector<at::Tensor>& maps, const std::vector<at::Tensor>& regions,
                        const ImageBatch& batch, int64_t size, const DetectorOptions& options);

/// Regions of all images with the image's index in front: (R, 5).
at::Tensor with_index(const std::vector<at::Tensor>& regions);

}  // namespace striate
