#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "striate/image/image.h"

namespace striate {

/// What a decoded image shall hold. kAsStored gives grey, RGB or RGBA: palettes are resolved, CMYK
/// becomes RGB, grey with transparency becomes RGBA.
enum class PixelFormat { kAsStored, kGrey, kRgb };

/// Decodes a JPEG or PNG, which it tells apart by their first bytes. The pixels are those of
/// Pillow's `Image.open(...).convert("RGB")` or `convert("L")`: accurate integer DCT, smooth chroma
/// upsampling, alpha dropped without blending, no gamma, no colour profile. The EXIF orientation is
/// not applied, as `Image.open` does not either. Of 16-bit values the high byte is kept.
/// @param origin  what the bytes are, for the message: a path.
/// @throws FormatError  no JPEG or PNG, a cut or damaged file (never a part of the picture), or
/// more than kMaxImagePixels. The message has the origin and, where known, the byte and the row.
Image decode_image(std::span<const uint8_t> bytes, const std::string& origin,
                   PixelFormat format = PixelFormat::kRgb);

/// What of an image file shall be decoded, and how large.
struct DecodeOptions {
  PixelFormat format = PixelFormat::kRgb;
  /// 1, 2, 4 or 8: each side becomes 1/scale of the picture's, rounded up. A PNG only takes 1.
  int64_t scale = 1;
  /// In pixels of the scaled picture; absent: all of it.
  std::optional<Rectangle> part = std::nullopt;
};

/// The pixels of `crop(decode_image(…), part)`, bit for bit, for about the work that the part
/// takes: of a JPEG only the blocks that it touches are computed, and what lies below it is not
/// read, so that damage there goes unnoticed. A scaled JPEG is computed from the lowest frequencies
/// of each block, about the mean of the pixels that become one. Source: libjpeg-turbo's
/// libjpeg.txt.
/// @throws FormatError  as above; std::invalid_argument  another scale, or a part that is empty or
/// not wholly inside the scaled picture.
Image decode_image(std::span<const uint8_t> bytes, const std::string& origin,
                   const DecodeOptions& options);

/// What a file's header says.
struct ImageHeader {
  ImageSize size;
  bool is_jpeg = false;
};
/// @throws FormatError  as `decode_image`.
ImageHeader read_image_header(std::span<const uint8_t> bytes, const std::string& origin);

/// `decode_image` of a file. @throws IoError  it can't be read; FormatError as above.
Image read_image(const std::filesystem::path& path, PixelFormat format = PixelFormat::kRgb);

/// The size that a file's header declares; the pixels are not read.
/// @throws IoError, FormatError  as `read_image`.
ImageSize read_image_size(const std::filesystem::path& path);

/// A PNG of a grey, RGB or RGBA image, lossless, zlib level 6.
/// @throws std::invalid_argument  the image is not a whole grey, RGB or RGBA image.
std::vector<uint8_t> encode_png(const Image& image);

/// A baseline JPEG; colour is stored at half resolution (4:2:0).
/// @param quality  1 to 100, as libjpeg counts it.
/// @throws std::invalid_argument  another quality, an RGBA image, or a side above 65,500.
std::vector<uint8_t> encode_jpeg(const Image& image, int quality);

/// A GIF that plays again and again; alpha is dropped. A frame of more than 256 colours loses the
/// lowest bits of every channel, as many as it takes.
/// @param frames        of one size.
/// @param centiseconds  how long each is shown.
/// @throws std::invalid_argument  no frames, frames of several sizes or with a side above 65,535,
/// no whole image, or a time outside [1, 65535].
std::vector<uint8_t> encode_gif(std::span<const Image> frames, int centiseconds);

}  // namespace striate
