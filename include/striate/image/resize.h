#pragma once

#include <memory>
#include <optional>

#include "striate/image/image.h"

namespace striate {

/// The filters of Pillow's `Image.resize`. All but kNearest are antialiased: when shrinking, the
/// filter is widened by the scale.
enum class Interpolation { kNearest, kBilinear, kBicubic, kLanczos, kBox };

/// A part of an image whose edges may lie inside pixels; whole pixels have whole edges.
struct SourceBox {
  double left = 0;
  double top = 0;
  double right = 0;
  double bottom = 0;
};

struct ResizeOptions {
  int64_t width = 0;
  int64_t height = 0;
  Interpolation interpolation = Interpolation::kBilinear;
  /// The part to scale; the whole image if absent. Unlike a crop beforehand, pixels next to the
  /// box do contribute to its edges.
  std::optional<SourceBox> box = std::nullopt;
};

/// The image at another size, bit-equal to `Image.resize` of Pillow 13 (8-bit, two passes in
/// fixed point, RGBA with premultiplied alpha; earlier Pillows differ by rounding where an image
/// loses far more rows than columns).
/// @throws std::invalid_argument  a size below 1 or too large, a box that is empty or exceeds the
/// image.
Image resize(const Image& image, const ResizeOptions& options);

/// A part of a resized image, made from no more of the image than it depends on:
/// `crop(resize(image, options), part)` is `apply(crop(image, source_part()))`, bit for bit.
class PartialResize {
 public:
  /// @param source  the image's size.
  /// @param part    in pixels of the resized image.
  /// @throws std::invalid_argument  as `resize`, or a part that is not inside the resized image.
  PartialResize(const ImageSize& source, const ResizeOptions& options, const Rectangle& part);
  ~PartialResize();
  PartialResize(const PartialResize&) = delete;
  PartialResize& operator=(const PartialResize&) = delete;

  Rectangle source_part() const;
  /// @param image  the source part's pixels.
  Image apply(const Image& image) const;

 private:
  struct Plan;
  std::unique_ptr<const Plan> plan_;
};

/// The size whose shorter side is `target`, as torchvision's Resize(int) gives it: the longer side
/// is target * long / short, rounded down.
/// @throws std::invalid_argument  a size or target below 1 or above kMaxImagePixels.
ImageSize shorter_side_size(const ImageSize& size, int64_t target);

}  // namespace striate
