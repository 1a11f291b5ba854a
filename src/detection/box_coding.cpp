// Rich feature hierarchies for accurate object detection and semantic segmentation
// R. Girshick, J. Donahue, T. Darrell, J. Malik, 2014
// https://arxiv.org/abs/1311.2524
#include "striate/detection/box_coding.h"

#include <ATen/ATen.h>

#include <cmath>

namespace striate {

namespace {

// The exponent that turns a side of 16 pixels into one of 1000.
const double kLargestExponent = std::log(1000.0 / 16);

struct Centres {
  at::Tensor x;
  at::Tensor y;
  at::Tensor width;
  at::Tensor height;
};

Centres centres_of(const at::Tensor& boxes) {
  const at::Tensor width = boxes.select(1, 2) - boxes.select(1, 0);
  const at::Tensor height = boxes.select(1, 3) - boxes.select(1, 1);
  return {boxes.select(1, 0) + 0.5 * width, boxes.select(1, 1) + 0.5 * height, width, height};
}

at::Tensor areas(const at::Tensor& boxes) {
  return (boxes.select(1, 2) - boxes.select(1, 0)) * (boxes.select(1, 3) - boxes.select(1, 1));
}

}  // namespace

at::Tensor box_tensor(const std::vector<Box>& boxes) {
  const at::Tensor tensor = at::empty({static_cast<int64_t>(boxes.size()), 4}, at::kFloat);
  auto* to = tensor.data_ptr<float>();
  for (const Box& box : boxes) {
    for (const double side : {box.x1, box.y1, box.x2, box.y2}) *to++ = static_cast<float>(side);
  }
  return tensor;
}

at::Tensor encode_boxes(const at::Tensor& boxes, const at::Tensor& anchors,
                        const CodeWeights& weights) {
  const Centres to = centres_of(boxes);
  const Centres from = centres_of(anchors);
  return at::stack({weights[0] * (to.x - from.x) / from.width,       // girshick2014, eq. 6
                    weights[1] * (to.y - from.y) / from.height,      // eq. 7
                    weights[2] * at::log(to.width / from.width),     // eq. 8
                    weights[3] * at::log(to.height / from.height)},  // eq. 9
                   1);
}

at::Tensor decode_boxes(const at::Tensor& codes, const at::Tensor& anchors,
                        const CodeWeights& weights) {
  const Centres from = centres_of(anchors.to(codes.scalar_type()));
  const at::Tensor by_box = codes.reshape({anchors.size(0), codes.size(1) / 4, 4});
  const auto code = [&](int64_t i) {
    return by_box.select(2, i) / weights[static_cast<size_t>(i)];
  };
  const auto column = [](const at::Tensor& value) { return value.unsqueeze(1); };
  const at::Tensor x = code(0) * column(from.width) + column(from.x);   // eq. 1
  const at::Tensor y = code(1) * column(from.height) + column(from.y);  // eq. 2
  const at::Tensor half_width =
      0.5 * (at::exp(code(2).clamp_max(kLargestExponent)) * column(from.width));  // eq. 3
  const at::Tensor half_height =
      0.5 * (at::exp(code(3).clamp_max(kLargestExponent)) * column(from.height));  // eq. 4
  return at::stack({x - half_width, y - half_height, x + half_width, y + half_height}, 2);
}

at::Tensor clip_boxes(const at::Tensor& boxes, const ImageSize& size) {
  const auto width = static_cast<double>(size.width);
  const auto height = static_cast<double>(size.height);
  return at::stack({boxes.select(-1, 0).clamp(0, width), boxes.select(-1, 1).clamp(0, height),
                    boxes.select(-1, 2).clamp(0, width), boxes.select(-1, 3).clamp(0, height)},
                   -1);
}

at::Tensor large_boxes(const at::Tensor& boxes, double least_side) {
  const at::Tensor width = boxes.select(1, 2) - boxes.select(1, 0);
  const at::Tensor height = boxes.select(1, 3) - boxes.select(1, 1);
  return ((width >= least_side) & (height >= least_side)).nonzero().squeeze(1);
}

at::Tensor box_overlaps(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor one = a.unsqueeze(1);
  const at::Tensor other = b.unsqueeze(0);
  const at::Tensor width = (at::min(one.select(2, 2), other.select(2, 2)) -
                            at::max(one.select(2, 0), other.select(2, 0)))
                               .clamp_min(0);
  const at::Tensor height = (at::min(one.select(2, 3), other.select(2, 3)) -
                             at::max(one.select(2, 1), other.select(2, 1)))
                                .clamp_min(0);
  const at::Tensor shared = width * height;
  const at::Tensor covered = areas(a).unsqueeze(1) + areas(b).unsqueeze(0) - shared;
  return at::where(covered > 0, shared / covered, at::zeros_like(shared));
}

}  // namespace striate
