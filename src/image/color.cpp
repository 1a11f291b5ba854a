#include "striate/image/color.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "image/formats.h"

namespace striate {

namespace {

void check_factor(const char* what, double factor) {
  if (std::isfinite(factor) && factor >= 0.0) return;
  throw std::invalid_argument(fmt::format("a {} factor is 0 or more, got {}", what, factor));
}

// `value` moved away from `origin`, or, with a factor below 1, towards it. Pillow's arithmetic: in
// single precision, cut to a byte.
uint8_t blend(int origin, int value, float factor) {
  const float blended = static_cast<float>(origin) + factor * static_cast<float>(value - origin);
  return static_cast<uint8_t>(std::clamp(blended, 0.0F, 255.0F));
}

// blend() of every colour value with one origin; alpha stays.
Image blend_all(const Image& image, int origin, double factor) {
  std::array<uint8_t, 256> table{};
  for (int value = 0; value < 256; ++value) {
    table[static_cast<size_t>(value)] = blend(origin, value, static_cast<float>(factor));
  }
  Image result = image;
  const bool has_alpha = image.channels == 4;
  for (size_t i = 0; i < result.pixels.size(); ++i) {
    if (has_alpha && i % 4 == 3) continue;
    result.pixels[i] = table[result.pixels[i]];
  }
  return result;
}

struct Hsv {
  int hue;  // 0 to 255 is once round the circle; 255 and 0 are neighbours, not equal
  int saturation;
  int value;
};

// Source: smith1978, in Pillow's mixture of float and double.
Hsv to_hsv(int red, int green, int blue) {
  const int value = std::max({red, green, blue});
  const int least = std::min({red, green, blue});
  if (value == least) return {0, 0, value};
  const auto chroma = static_cast<float>(value - least);
  const float saturation = chroma / static_cast<float>(value);
  const float red_gap = static_cast<float>(value - red) / chroma;
  const float green_gap = static_cast<float>(value - green) / chroma;
  const float blue_gap = static_cast<float>(value - blue) / chroma;
  float sector = 0.0F;
  if (red == value) {
    sector = blue_gap - green_gap;
  } else if (green == value) {
    sector = static_cast<float>(2.0 + red_gap - blue_gap);
  } else {
    sector = static_cast<float>(4.0 + green_gap - red_gap);
  }
  const double turn = sector / 6.0 + 1.0;  // in [5/6, 2)
  const auto hue = static_cast<float>(turn < 1.0 ? turn : turn - 1.0);
  return {std::clamp(static_cast<int>(hue * 255.0), 0, 255),
          std::clamp(static_cast<int>(saturation * 255.0), 0, 255), value};
}

void to_rgb_pixel(const Hsv& hsv, uint8_t* rgb) {
  const auto value = static_cast<uint8_t>(hsv.value);
  if (hsv.saturation == 0) {
    std::fill_n(rgb, 3, value);
    return;
  }
  const double position = static_cast<float>(hsv.hue) * 6.0 / 255.0;
  const int sector = static_cast<int>(position);
  const auto fraction = static_cast<float>(position - static_cast<float>(sector));
  const auto saturation = static_cast<float>(static_cast<float>(hsv.saturation) / 255.0);
  const auto part = [&](double share) {
    const double exact = static_cast<float>(hsv.value) * (1.0 - share);
    const int whole = static_cast<int>(exact);
    return static_cast<uint8_t>(exact - whole >= 0.5 ? whole + 1 : whole);
  };
  const uint8_t low = part(saturation);
  const uint8_t falling = part(static_cast<double>(saturation * fraction));
  const uint8_t rising = part(saturation * (1.0 - fraction));
  const std::array<std::array<uint8_t, 3>, 6> sectors = {{{value, rising, low},
                                                          {falling, value, low},
                                                          {low, value, rising},
                                                          {low, falling, value},
                                                          {rising, low, value},
                                                          {value, low, falling}}};
  std::copy_n(sectors[static_cast<size_t>(sector % 6)].begin(), 3, rgb);
}

}  // namespace

Image adjust_brightness(const Image& image, double factor) {
  check_whole_image(image);
  check_factor("brightness", factor);
  return blend_all(image, 0, factor);
}

Image adjust_contrast(const Image& image, double factor) {
  check_whole_image(image);
  check_factor("contrast", factor);
  const Image grey = to_grey(image);
  int64_t sum = 0;
  for (const uint8_t value : grey.pixels) sum += value;
  const double mean = static_cast<double>(sum) / static_cast<double>(grey.pixels.size());
  return blend_all(image, static_cast<int>(mean + 0.5), factor);
}

Image adjust_saturation(const Image& image, double factor) {
  check_whole_image(image);
  check_factor("saturation", factor);
  if (image.channels == 1) return image;
  const Image grey = to_grey(image);
  Image result = image;
  uint8_t* pixel = result.pixels.data();
  for (const uint8_t luma : grey.pixels) {
    for (int c = 0; c < 3; ++c) pixel[c] = blend(luma, pixel[c], static_cast<float>(factor));
    pixel += image.channels;
  }
  return result;
}

Image adjust_hue(const Image& image, double turns) {
  check_whole_image(image);
  if (!(turns >= -0.5 && turns <= 0.5)) {
    throw std::invalid_argument(fmt::format("a hue is turned by -0.5 to 0.5, got {}", turns));
  }
  if (image.channels == 1) return image;
  const int shift = static_cast<int>(turns * 255.0);
  Image result = image;
  for (size_t i = 0; i < result.pixels.size(); i += static_cast<size_t>(image.channels)) {
    uint8_t* pixel = result.pixels.data() + i;
    Hsv hsv = to_hsv(pixel[0], pixel[1], pixel[2]);
    hsv.hue = (hsv.hue + shift) & 255;
    to_rgb_pixel(hsv, pixel);
  }
  return result;
}

}  // namespace striate
