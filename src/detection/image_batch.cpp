#include "detection/image_batch.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "striate/base/error.h"
#include "striate/detection/detection_transforms.h"

namespace striate {

namespace {

int64_t padded(int64_t length, int64_t divisor) {
  return (length + divisor - 1) / divisor * divisor;
}

}  // namespace

at::Tensor normalised(const at::Tensor& image) {
  const auto options = image.options();
  const at::Tensor mean = at::tensor({0.485, 0.456, 0.406}, options).view({3, 1, 1});
  const at::Tensor deviation = at::tensor({0.229, 0.224, 0.225}, options).view({3, 1, 1});
  return (image - mean) / deviation;
}

ImageBatch batch_images(const std::vector<at::Tensor>& images, const DetectorOptions& options,
                        at::ScalarType type, Random* random) {
  ImageBatch batch;
  std::vector<at::Tensor> scaled;
  int64_t height = 0;
  int64_t width = 0;
  for (const at::Tensor& image : images) {
    if (image.dim() != 3 || image.size(0) != 3 || image.numel() == 0) {
      throw ShapeError(
          fmt::format("a detector needs images (3, H, W), got {}", to_string(image.sizes().vec())));
    }
    batch.originals.push_back({image.size(2), image.size(1)});
    int64_t min_size = options.min_size;
    const std::vector<int64_t>& sizes = options.training_sizes;
    if (random != nullptr && !sizes.empty()) {
      min_size = sizes[static_cast<size_t>(random->below(std::ssize(sizes)))];
    }
    const ImageSize size =
        limited_size(batch.originals.back(), {.min_size = min_size, .max_size = options.max_size});
    batch.sizes.push_back(size);
    scaled.push_back(at::upsample_bilinear2d(normalised(image.to(type)).unsqueeze(0),
                                             {size.height, size.width}, /*align_corners=*/false));
    height = std::max(height, size.height);
    width = std::max(width, size.width);
  }
  batch.images =
      at::empty({static_cast<int64_t>(images.size()), 3, padded(height, options.size_divisor),
                 padded(width, options.size_divisor)},
                type, at::kStrided, at::kCPU, false, at::MemoryFormat::ChannelsLast)
          .zero_();
  for (size_t i = 0; i < scaled.size(); ++i) {
    const ImageSize& size = batch.sizes[i];
    batch.images.select(0, static_cast<int64_t>(i))
        .narrow(1, 0, size.height)
        .narrow(2, 0, size.width)
        .copy_(scaled[i][0]);
  }
  return batch;
}

at::Tensor resize_boxes(const at::Tensor& boxes, const ImageSize& from, const ImageSize& to) {
  const float x = static_cast<float>(to.width) / static_cast<float>(from.width);
  const float y = static_cast<float>(to.height) / static_cast<float>(from.height);
  return boxes * at::tensor({x, y, x, y}).to(boxes.scalar_type());
}

}  // namespace striate
