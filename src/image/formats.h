#pragma once

#include <csetjmp>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/image/codec.h"

namespace striate {

/// The bytes of an image file, and the name that messages give it.
struct EncodedImage {
  std::span<const uint8_t> bytes;
  const std::string& origin;
};

ImageSize read_jpeg_size(const EncodedImage& file);
Image decode_jpeg(const EncodedImage& file, const DecodeOptions& options);
ImageSize read_png_size(const EncodedImage& file);
Image decode_png(const EncodedImage& file, PixelFormat format);

/// `ORIGIN: damaged JPEG: PROBLEM`, with the hint that fits a damaged file.
FormatError damaged_file(const EncodedImage& file, const std::string& kind,
                         const std::string& problem);

/// Refuses more than kMaxImagePixels.
void check_pixel_count(const EncodedImage& file, const ImageSize& size);

/// Refuses a part that is empty or not wholly inside.
void check_part(const Rectangle& part, const ImageSize& size);

/// Throws unless the pixels are as many as width, height and channels say.
void check_whole_image(const Image& image);

/// Calls `step`, whose C library reports errors by longjmp to `jump`. False if it did.
/// `step` must hold no object with a destructor: a longjmp would skip it.
template <class Step>
[[gnu::noinline]] bool run_guarded(std::jmp_buf& jump, const Step& step) {
  if (setjmp(jump) != 0) return false;
  step();
  return true;
}

}  // namespace striate
