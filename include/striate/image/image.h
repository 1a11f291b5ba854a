#pragma once

#include <cstdint>
#include <vector>

namespace striate {

/// An 8-bit picture, rows top to bottom, channels interleaved: grey (1), RGB (3) or RGBA (4).
struct Image {
  int64_t width = 0;
  int64_t height = 0;
  int64_t channels = 3;
  std::vector<uint8_t> pixels;  // height * width * channels

  const uint8_t* row(int64_t y) const { return pixels.data() + y * width * channels; }
  uint8_t* row(int64_t y) { return pixels.data() + y * width * channels; }
};

/// In pixels.
struct ImageSize {
  int64_t width = 0;
  int64_t height = 0;

  bool operator==(const ImageSize&) const = default;
};

/// A part of an image, in pixels; (x, y) is its upper left corner.
struct Rectangle {
  int64_t x = 0;
  int64_t y = 0;
  int64_t width = 0;
  int64_t height = 0;
};

/// The most pixels that an image may have: files that declare more are refused before anything is
/// allocated for them.
inline constexpr int64_t kMaxImagePixels = int64_t{1} << 28;

/// A black image (RGBA: transparent black).
/// @throws std::invalid_argument  a size below 1, more than kMaxImagePixels, or channels not 1, 3
/// or 4.
Image make_image(int64_t width, int64_t height, int64_t channels);

/// @throws std::invalid_argument  `part` is empty or not wholly inside the image.
Image crop(const Image& image, const Rectangle& part);

/// Left and right exchanged.
Image flip_horizontally(const Image& image);

/// One channel: ITU-R 601 luma in 16-bit fixed point, bit-equal to Pillow's convert("L"). Alpha is
/// ignored.
Image to_grey(const Image& image);

/// Three channels: grey is repeated, alpha is dropped without blending, as Pillow's convert("RGB").
Image to_rgb(const Image& image);

}  // namespace striate
