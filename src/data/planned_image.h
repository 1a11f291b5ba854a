#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "striate/data/transforms.h"
#include "striate/image/pending.h"

namespace striate {

/// What a network gets for each of the 256 values of a byte, for each channel.
struct ByteTable {
  int64_t channels = 0;
  std::vector<float> values;  // (channels, 256)
};

/// An image and what shall become of it. Crops, paddings, a flip and a scaling are put down, not
/// carried out: in the end only those pixels are decoded and scaled that are seen, and they go
/// straight to where they are needed. The result is that of the transforms one by one; the one
/// exception is said at `scale_part`.
class PlannedImage {
 public:
  explicit PlannedImage(PendingImage source);

  int64_t channels() const { return source_.channels(); }
  int64_t width() const { return window_.width; }
  int64_t height() const { return window_.height; }

  /// Grey (1) or RGB (3).
  void set_channels(int64_t count);
  /// A part of the image, or more than the image: there it is black.
  void crop(const Rectangle& part);
  void flip();
  void scale(const ImageSize& size, Interpolation interpolation);
  /// Crops and scales. A JPEG is decoded at the smallest of 1/1, 1/2, 1/4 and 1/8 of its size at
  /// which the part still has all the pixels that are wanted, so that the result may differ.
  void scale_part(const Rectangle& part, const ImageSize& size, Interpolation interpolation);

  Image image() const;
  /// (height, width, channels) floats.
  void write(const ByteTable& table, float* out) const;

 private:
  struct Scaling {
    ImageSize size;
    Interpolation interpolation;
    bool may_decode_smaller;
  };

  void settle();
  void add_scaling(const Scaling& scaling);
  Rectangle seen() const;
  int64_t decoding_scale() const;
  Image scaled(const Rectangle& part) const;
  template <int kChannels>
  void write_channels(const ByteTable& table, float* out) const;

  PendingImage source_;
  Rectangle part_;                  // of the source
  std::optional<Scaling> scaling_;  // of that part
  // Both in pixels of the scaled part. What is outside `valid_` is black.
  Rectangle window_;
  Rectangle valid_;
  bool is_flipped_ = false;
};

}  // namespace striate
