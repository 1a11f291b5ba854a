// Mask R-CNN
// K. He, G. Gkioxari, P. Dollar, R. Girshick, 2017
// https://arxiv.org/abs/1703.06870
//
// Departure: boxes are widened by one value of the mask and cut off to whole pixels, as torchvision
// does it.
#include <ATen/ATen.h>

#include <algorithm>

#include "striate/detection/detector.h"
#include "striate/detection/mask.h"

namespace striate {

namespace {

constexpr double kMaskThreshold = 0.5;  // he2017, 3.1

struct Span {
  int64_t begin;
  int64_t end;  // the last pixel
};

// A side of a box, longer by one value of the mask at each end.
Span widened(double begin, double end, int64_t mask_size) {
  const auto from = static_cast<float>(begin);
  const auto to = static_cast<float>(end);
  const auto factor =
      static_cast<float>(static_cast<double>(mask_size + 2) / static_cast<double>(mask_size));
  const float middle = (to + from) * 0.5F;
  const float half = (to - from) * 0.5F * factor;
  return {static_cast<int64_t>(middle - half), static_cast<int64_t>(middle + half)};
}

// The part of a mask, enlarged to its box, that lies in the image.
struct Pasted {
  int64_t left = 0;
  int64_t top = 0;
  at::Tensor values;  // (h, w) in [0, 1]; perhaps empty
};

Pasted pasted(const at::Tensor& mask, const Box& box, const ImageSize& size) {
  const Span x = widened(box.x1, box.x2, mask.size(1));
  const Span y = widened(box.y1, box.y2, mask.size(0));
  const int64_t width = std::max<int64_t>(x.end - x.begin + 1, 1);
  const int64_t height = std::max<int64_t>(y.end - y.begin + 1, 1);
  const int64_t left = std::clamp<int64_t>(x.begin, 0, size.width);
  const int64_t top = std::clamp<int64_t>(y.begin, 0, size.height);
  const int64_t columns = std::max<int64_t>(std::min(x.begin + width, size.width) - left, 0);
  const int64_t rows = std::max<int64_t>(std::min(y.begin + height, size.height) - top, 0);
  if (columns == 0 || rows == 0) return {.values = at::zeros({0, 0}, mask.options())};
  const at::Tensor padded = at::constant_pad_nd(mask, {1, 1, 1, 1});
  const at::Tensor enlarged =
      at::upsample_bilinear2d(padded.unsqueeze(0).unsqueeze(0), {height, width}, false)[0][0];
  return {.left = left,
          .top = top,
          .values = enlarged.narrow(0, top - y.begin, rows).narrow(1, left - x.begin, columns)};
}

RunLengthMask mask_of(const Pasted& part, const ImageSize& size) {
  const at::Tensor pixels = (part.values >= kMaskThreshold).to(at::kByte).contiguous();
  Image bitmap;
  bitmap.height = pixels.size(0);
  bitmap.width = pixels.size(1);
  bitmap.channels = 1;
  const auto* const first = pixels.const_data_ptr<uint8_t>();
  bitmap.pixels.assign(first, first + pixels.numel());
  return encode_mask(bitmap, part.left, part.top, size);
}

}  // namespace

at::Tensor paste_mask(const at::Tensor& mask, const Box& box, const ImageSize& size) {
  const Pasted part = pasted(mask, box, size);
  at::Tensor result = at::zeros({size.height, size.width}, mask.options());
  result.narrow(0, part.top, part.values.size(0))
      .narrow(1, part.left, part.values.size(1))
      .copy_(part.values);
  return result;
}

std::vector<Detection> to_detections(const FoundObjects& found, const ImageSize& size) {
  std::vector<Detection> detections;
  const at::Tensor boxes = found.boxes.to(at::kDouble);
  for (int64_t i = 0; i < boxes.size(0); ++i) {
    const auto* side = boxes[i].const_data_ptr<double>();
    Detection detection{.box = {side[0], side[1], side[2], side[3]},
                        .label = found.labels[i].item<int64_t>(),
                        .score = found.scores[i].item<double>()};
    if (found.masks.defined()) {
      detection.mask = mask_of(pasted(found.masks[i], detection.box, size), size);
    }
    detections.push_back(std::move(detection));
  }
  return detections;
}

}  // namespace striate
