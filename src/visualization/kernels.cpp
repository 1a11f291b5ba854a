// ImageNet Classification with Deep Convolutional Neural Networks. A. Krizhevsky, I. Sutskever,
// G. E. Hinton, 2012: Fig. 3 shows the first layer's kernels.
#include "striate/visualization/kernels.h"

#include <ATen/ops/histc.h>
#include <fmt/format.h>

#include <algorithm>

#include "striate/base/error.h"
#include "striate/visualization/picture.h"

namespace striate {

namespace {

constexpr int64_t kPictureWidth = 512;
constexpr int64_t kMostInputs = 32;
constexpr int64_t kBins = 40;

int64_t enlargement(const KernelPictureOptions& options, int64_t columns, int64_t kernel_width) {
  if (options.enlarge > 0) return options.enlarge;
  return std::clamp<int64_t>(kPictureWidth / (columns * kernel_width), 2, 24);
}

}  // namespace

Image kernel_picture(const at::Tensor& weight, const KernelPictureOptions& options) {
  if (weight.dim() != 4 || weight.numel() == 0) {
    throw ShapeError("kernels need the shape (K, C, h, w)");
  }
  std::vector<Image> pictures;
  const bool sees_images = weight.size(1) == 3 || weight.size(1) == 1;
  if (sees_images) {
    const int64_t count = std::min(weight.size(0), options.most);
    for (int64_t k = 0; k < count; ++k) pictures.push_back(signed_picture(weight[k]));
    const int64_t columns = count > 32 ? 16 : 8;
    return picture_grid(
        pictures, {.columns = columns, .enlarge = enlargement(options, columns, weight.size(3))});
  }
  const int64_t rows = std::min({weight.size(0), options.most, kMostInputs});
  const int64_t columns = std::min(weight.size(1), kMostInputs);
  const at::Tensor shown = weight.slice(0, 0, rows).slice(1, 0, columns);
  const at::Tensor flat = shown.reshape({rows * columns * weight.size(2), weight.size(3)});
  const Image all = diverging_picture(flat);  // one scale for all
  for (int64_t i = 0; i < rows * columns; ++i) {
    pictures.push_back(crop(all, {0, i * weight.size(2), weight.size(3), weight.size(2)}));
  }
  return picture_grid(
      pictures, {.columns = columns, .enlarge = enlargement(options, columns, weight.size(3))});
}

TensorStatistics tensor_statistics(const std::string& key, const at::Tensor& tensor) {
  const at::Tensor x = tensor.detach().to(at::kCPU, at::kDouble).flatten();
  TensorStatistics result{.key = key, .shape = tensor.sizes().vec()};
  if (x.numel() == 0) return result;
  result.mean = x.mean().item<double>();
  result.deviation = (x - result.mean).square().mean().sqrt().item<double>();
  result.minimum = x.min().item<double>();
  result.maximum = x.max().item<double>();
  result.zeros = x.eq(0).to(at::kDouble).mean().item<double>();
  if (x.isfinite().all().item<bool>()) {
    const at::Tensor counts = at::histc(x, kBins, result.minimum, result.maximum).to(at::kLong);
    const auto* from = counts.const_data_ptr<int64_t>();
    result.histogram.assign(from, from + kBins);
  }
  return result;
}

std::vector<TensorStatistics> weight_statistics(const Network& network) {
  std::vector<TensorStatistics> result;
  for (size_t i = 0; i < network.tensors().size(); ++i) {
    if (network.specs()[i].kind == TensorSpec::Kind::kCounter) continue;
    const auto& [key, tensor] = network.tensors()[i];
    result.push_back(tensor_statistics(key, tensor));
  }
  return result;
}

}  // namespace striate
