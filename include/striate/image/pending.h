#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "striate/image/codec.h"
#include "striate/image/image.h"

namespace striate {

/// Pixels as `Image` has them, in memory that belongs to somebody else.
struct ImageView {
  const uint8_t* pixels = nullptr;  // height * width * channels
  int64_t width = 0;
  int64_t height = 0;
  int64_t channels = 0;

  const uint8_t* row(int64_t y) const { return pixels + y * width * channels; }
};

/// An image whose size is known and whose pixels may be still to come: from a file's bytes, or from
/// memory that outlives it.
class PendingImage {
 public:
  PendingImage(Image image);      // NOLINT: an image is a pending image that is there already
  PendingImage(ImageView image);  // NOLINT
  /// Reads the header only.
  /// @param origin  what the bytes are, for messages.
  /// @param format  grey or RGB.
  /// @throws FormatError  as `decode_image`; std::invalid_argument  kAsStored: the header does not
  /// say what channels that gives.
  PendingImage(std::vector<uint8_t> file, std::string origin, PixelFormat format);

  ImageSize size() const { return {width_, height_}; }
  int64_t channels() const { return channels_; }
  /// Whether `decode` knows scales other than 1.
  bool has_scales() const;
  /// The pixels, where they are in memory already; `pixels` is null where they are not.
  ImageView view() const;
  /// A part of the image, at 1/scale of its size: `DecodeOptions`.
  /// @throws FormatError  the file is damaged; std::invalid_argument  as `decode_image`.
  Image decode(const Rectangle& part, int64_t scale = 1) const;

 private:
  struct File {
    std::vector<uint8_t> bytes;
    std::string origin;
    PixelFormat format;
    bool is_jpeg;
  };

  int64_t width_ = 0;
  int64_t height_ = 0;
  int64_t channels_ = 0;
  std::variant<ImageView, Image, File> source_;
};

}  // namespace striate
