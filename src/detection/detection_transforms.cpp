// Images with boxes and masks in training. Sizes follow torchvision's GeneralizedRCNNTransform,
// which follows Faster R-CNN. Ren, He, Girshick, Sun, 2015, section 3.3.
// https://arxiv.org/abs/1506.01497

#include "striate/detection/detection_transforms.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/image/codec.h"
#include "striate/image/resize.h"

namespace striate {

DetectionSample load_detection_sample(const AnnotatedImage& image) {
  DetectionSample sample{.image = read_image(image.path), .instances = image.instances};
  if (sample.image.width == image.width && sample.image.height == image.height) return sample;
  throw FormatError(fmt::format("{} has {}x{} pixels, and its annotation says {}x{}",
                                image.path.string(), sample.image.width, sample.image.height,
                                image.width, image.height));
}

DetectionSample flip_horizontally(const DetectionSample& sample) {
  DetectionSample flipped{.image = flip_horizontally(sample.image), .instances = sample.instances};
  const auto width = static_cast<double>(sample.image.width);
  for (Instance& instance : flipped.instances) {
    const Box box = instance.box;
    instance.box = {width - box.x2, box.y1, width - box.x1, box.y2};
    if (instance.mask) instance.mask = flip_horizontally(*instance.mask);
  }
  return flipped;
}

DetectionSample resize(const DetectionSample& sample, const ImageSize& size) {
  if (size == ImageSize{sample.image.width, sample.image.height}) return sample;
  DetectionSample resized{
      .image = resize(sample.image, {.width = size.width, .height = size.height}),
      .instances = sample.instances};
  const double x = static_cast<double>(size.width) / static_cast<double>(sample.image.width);
  const double y = static_cast<double>(size.height) / static_cast<double>(sample.image.height);
  for (Instance& instance : resized.instances) {
    const Box box = instance.box;
    instance.box = {box.x1 * x, box.y1 * y, box.x2 * x, box.y2 * y};
    instance.area *= x * y;
    if (instance.mask) instance.mask = resize_mask(*instance.mask, size);
  }
  return resized;
}

ImageSize limited_size(const ImageSize& size, const ResizeLimits& limits) {
  if (std::min({size.width, size.height, limits.min_size, limits.max_size}) < 1) {
    throw std::invalid_argument("sizes and their limits must be positive");
  }
  const auto shorter = static_cast<double>(std::min(size.width, size.height));
  const auto longer = static_cast<double>(std::max(size.width, size.height));
  const double scale = std::min(static_cast<double>(limits.min_size) / shorter,
                                static_cast<double>(limits.max_size) / longer);
  const auto side = [&](int64_t length) {
    return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(length) * scale));
  };
  return {side(size.width), side(size.height)};
}

std::vector<std::vector<int64_t>> grouped_batches(const std::vector<AnnotatedImage>& images,
                                                  const BatchOptions& options) {
  const auto& edges = options.aspect_ratio_edges;
  if (options.batch_size < 1 ||
      std::ranges::adjacent_find(edges, std::greater_equal()) != edges.end()) {
    throw std::invalid_argument("a batch holds an image or more, and edges of groups rise");
  }
  Random random({options.seed, static_cast<uint64_t>(options.epoch), hash_name("batches")});
  std::map<ptrdiff_t, std::vector<int64_t>> waiting;
  std::vector<std::vector<int64_t>> batches;
  for (const int64_t i : random.permutation(std::ssize(images))) {
    const double ratio =
        static_cast<double>(images[i].width) / static_cast<double>(images[i].height);
    std::vector<int64_t>& batch = waiting[std::ranges::upper_bound(edges, ratio) - edges.begin()];
    batch.push_back(i);
    if (std::ssize(batch) == options.batch_size) batches.push_back(std::exchange(batch, {}));
  }
  for (auto& [group, batch] : waiting) {
    if (!batch.empty()) batches.push_back(std::move(batch));
  }
  return batches;
}

}  // namespace striate
