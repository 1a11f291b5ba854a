// Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks
// S. Ren, K. He, R. Girshick, J. Sun, 2015
// https://arxiv.org/abs/1506.01497
//
// Departure: anchors are rounded to whole pixels, as the published weights were trained with.
#include "striate/detection/anchors.h"

#include <ATen/ATen.h>

namespace striate {

at::Tensor anchors_of_place(const std::vector<double>& sizes, const std::vector<double>& ratios) {
  const at::Tensor size = at::tensor(sizes, at::kFloat).unsqueeze(0);
  const at::Tensor ratio = at::tensor(ratios, at::kFloat).sqrt().unsqueeze(1);
  const at::Tensor width = (ratio.reciprocal() * size).flatten();
  const at::Tensor height = (ratio * size).flatten();
  return (at::stack({-width, -height, width, height}, 1) / 2).round();
}

at::Tensor anchors_of_map(const at::Tensor& of_place, const Size2& map, const Size2& image) {
  const at::Tensor x = at::arange(map.width, at::kLong) * (image.width / map.width);
  const at::Tensor y = at::arange(map.height, at::kLong) * (image.height / map.height);
  const std::vector<at::Tensor> grid = at::meshgrid({y, x}, "ij");
  const at::Tensor column = grid[1].flatten();
  const at::Tensor row = grid[0].flatten();
  const at::Tensor shifts = at::stack({column, row, column, row}, 1).to(of_place.scalar_type());
  return (shifts.unsqueeze(1) + of_place.unsqueeze(0)).reshape({-1, 4});
}

}  // namespace striate
