// Feature Pyramid Networks for Object Detection
// T.-Y. Lin, P. Dollar, R. Girshick, K. He, B. Hariharan, S. Belongie, 2017
// https://arxiv.org/abs/1612.03144
#include "detection/region_reader.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "striate/detection/region_pooling.h"

namespace striate {

namespace {

constexpr double kUsualSide = 224;  // of an object in ImageNet's images
constexpr double kUsualLevel = 4;   // the map that such an object is read from
constexpr double kRounding = 1e-6;  // of torchvision

// A power of 1/2.
double scale_of(const at::Tensor& map, const ImageBatch& batch) {
  int64_t height = 1;
  for (const ImageSize& size : batch.sizes) height = std::max(height, size.height);
  const float ratio =
      static_cast<float>(static_cast<double>(map.size(2)) / static_cast<double>(height));
  return std::exp2(std::nearbyint(std::log2(ratio)));
}

// Eq. 1, counted from the finest map.
at::Tensor levels_of(const at::Tensor& regions, double finest, double coarsest) {
  const at::Tensor side = ((regions.select(1, 3) - regions.select(1, 1)) *
                           (regions.select(1, 4) - regions.select(1, 2)))
                              .sqrt();
  const at::Tensor level = ((side / kUsualSide).log2() + kUsualLevel + kRounding).floor();
  return (level.clamp(-std::log2(finest), -std::log2(coarsest)) + std::log2(finest)).to(at::kLong);
}

at::Tensor read(const at::Tensor& map, const at::Tensor& regions, const RegionPooling& pooling,
                bool align) {
  return align ? roi_align(map, regions, pooling) : roi_pool(map, regions, pooling);
}

}  // namespace

at::Tensor with_index(const std::vector<at::Tensor>& regions) {
  std::vector<at::Tensor> rows;
  for (size_t i = 0; i < regions.size(); ++i) {
    const at::Tensor index =
        at::full({regions[i].size(0), 1}, static_cast<double>(i), regions[i].options());
    rows.push_back(at::cat({index, regions[i]}, 1));
  }
  return at::cat(rows);
}

at::Tensor read_regions(const std::vector<at::Tensor>& maps, const std::vector<at::Tensor>& regions,
                        const ImageBatch& batch, int64_t size, const DetectorOptions& options) {
  const at::Tensor all = with_index(regions).to(maps.front().scalar_type());
  const auto pooling = [&](const at::Tensor& map) {
    return RegionPooling{
        .size = size, .scale = scale_of(map, batch), .sampling_ratio = options.sampling_ratio};
  };
  if (maps.size() == 1) return read(maps[0], all, pooling(maps[0]), options.align);
  const at::Tensor levels =
      levels_of(all, scale_of(maps.front(), batch), scale_of(maps.back(), batch));
  std::vector<at::Tensor> values;
  std::vector<at::Tensor> places;
  for (size_t level = 0; level < maps.size(); ++level) {
    places.push_back((levels == static_cast<int64_t>(level)).nonzero().squeeze(1));
    values.push_back(
        read(maps[level], all.index_select(0, places.back()), pooling(maps[level]), options.align));
  }
  return at::cat(values).index_select(0, at::cat(places).argsort());
}

}  // namespace striate
