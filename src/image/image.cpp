#include "striate/image/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "image/formats.h"

namespace striate {

namespace {

template <int kChannels>
void flip_rows(const Image& image, Image& result) {
  for (int64_t y = 0; y < image.height; ++y) {
    const uint8_t* source = image.row(y) + image.width * kChannels;
    uint8_t* out = result.row(y);
    for (int64_t x = 0; x < image.width; ++x) {
      source -= kChannels;
      for (int c = 0; c < kChannels; ++c) *out++ = source[c];
    }
  }
}

}  // namespace

Image make_image(int64_t width, int64_t height, int64_t channels) {
  if (width < 1 || height < 1) {
    throw std::invalid_argument(
        fmt::format("an image needs a size of at least 1x1, got {}x{}", width, height));
  }
  if (width > kMaxImagePixels / height) {
    throw std::invalid_argument(
        fmt::format("an image of {}x{} has more than {} pixels", width, height, kMaxImagePixels));
  }
  if (channels != 1 && channels != 3 && channels != 4) {
    throw std::invalid_argument(fmt::format("an image has 1, 3 or 4 channels, got {}", channels));
  }
  const auto size_bytes = static_cast<size_t>(width * height * channels);
  return {width, height, channels, std::vector<uint8_t>(size_bytes)};
}

void check_part(const Rectangle& part, const ImageSize& size) {
  const bool inside = part.x >= 0 && part.y >= 0 && part.width >= 1 && part.height >= 1 &&
                      part.width <= size.width && part.x <= size.width - part.width &&
                      part.height <= size.height && part.y <= size.height - part.height;
  if (inside) return;
  throw std::invalid_argument(fmt::format("can't crop {}x{} at ({}, {}) from an image of {}x{}",
                                          part.width, part.height, part.x, part.y, size.width,
                                          size.height));
}

Image crop(const Image& image, const Rectangle& part) {
  check_part(part, {image.width, image.height});
  Image result = make_image(part.width, part.height, image.channels);
  const auto row_bytes = static_cast<size_t>(part.width * image.channels);
  for (int64_t y = 0; y < part.height; ++y) {
    std::memcpy(result.row(y), image.row(part.y + y) + part.x * image.channels, row_bytes);
  }
  return result;
}

Image flip_horizontally(const Image& image) {
  Image result = make_image(image.width, image.height, image.channels);
  switch (image.channels) {
    case 1:
      flip_rows<1>(image, result);
      break;
    case 3:
      flip_rows<3>(image, result);
      break;
    default:
      flip_rows<4>(image, result);
  }
  return result;
}

Image to_grey(const Image& image) {
  if (image.channels == 1) return image;
  Image result = make_image(image.width, image.height, 1);
  const uint8_t* source = image.pixels.data();
  for (uint8_t& grey : result.pixels) {
    // 0.299, 0.587 and 0.114 times 2^16, rounded so that they add up to 2^16.
    const uint32_t luma = source[0] * 19595U + source[1] * 38470U + source[2] * 7471U;
    grey = static_cast<uint8_t>((luma + 0x8000U) >> 16);
    source += image.channels;
  }
  return result;
}

Image to_rgb(const Image& image) {
  if (image.channels == 3) return image;
  Image result = make_image(image.width, image.height, 3);
  const uint8_t* source = image.pixels.data();
  const int64_t green = image.channels == 1 ? 0 : 1;
  const int64_t blue = image.channels == 1 ? 0 : 2;
  for (size_t i = 0; i < result.pixels.size(); i += 3) {
    result.pixels[i] = source[0];
    result.pixels[i + 1] = source[green];
    result.pixels[i + 2] = source[blue];
    source += image.channels;
  }
  return result;
}

}  // namespace striate
