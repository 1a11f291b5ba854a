#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "striate/detection/box.h"
#include "striate/image/image.h"

namespace striate {

/// A picture of zeros and ones as COCO's run lengths: down its columns, from the left one to the
/// right one, first so many zeros (perhaps none), then so many ones, and so on.
struct RunLengthMask {
  int64_t height = 0;
  int64_t width = 0;
  std::vector<uint32_t> counts;  // their sum is height * width

  bool operator==(const RunLengthMask&) const = default;
};

/// @param bitmap  one channel; what is not zero belongs to the object.
/// @throws std::invalid_argument  several channels.
RunLengthMask encode_mask(const Image& bitmap);
/// The mask of a picture of `size`: `bitmap` from column `left` and row `top` on, zeros elsewhere.
/// @throws std::invalid_argument  several channels, or the bitmap reaches beyond the picture.
RunLengthMask encode_mask(const Image& bitmap, int64_t left, int64_t top, const ImageSize& size);
/// One channel of zeros and ones. @throws std::invalid_argument  the counts don't fill the mask.
Image decode_mask(const RunLengthMask& mask);

/// COCO's text for the counts: differences, in groups of five bits from '0' on.
std::string mask_to_string(const RunLengthMask& mask);
/// @throws FormatError  no such text, or counts that don't fill `size`.
RunLengthMask mask_from_string(const std::string& text, const ImageSize& size);

/// How many pixels it has.
int64_t mask_area(const RunLengthMask& mask);
/// The smallest box around it; empty at the origin where the mask is empty.
Box mask_box(const RunLengthMask& mask);
/// What any of them covers. @throws ShapeError  masks of several sizes; std::invalid_argument none.
RunLengthMask merge_masks(const std::vector<RunLengthMask>& masks);

/// How many pixels both have. @throws ShapeError  they differ in size.
int64_t shared_mask_area(const RunLengthMask& a, const RunLengthMask& b);
/// In [0, 1]; 0 where they share nothing. @throws ShapeError  they differ in size.
double mask_intersection_over_union(const RunLengthMask& a, const RunLengthMask& b);

/// x and y of each corner in turn, in pixels; the last corner joins the first.
using Polygon = std::vector<double>;

/// What any of the polygons covers: the pixels are those of pycocotools, bit for bit, which rounds
/// corners to a fifth of a pixel. Source: lin2014coco.
/// @throws std::invalid_argument  an odd number of coordinates, fewer than three corners, a
/// coordinate that is not finite or beyond 2^20, or no polygon.
RunLengthMask polygon_mask(const std::vector<Polygon>& polygons, const ImageSize& size);

/// Left and right exchanged.
RunLengthMask flip_horizontally(const RunLengthMask& mask);
/// Each pixel is the nearest of `mask`, as torch's `interpolate` takes it.
/// @throws std::invalid_argument  a size below 1.
RunLengthMask resize_mask(const RunLengthMask& mask, const ImageSize& size);

}  // namespace striate
