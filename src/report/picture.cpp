#include "report/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "striate/image/codec.h"
#include "striate/image/resize.h"

namespace striate {
namespace {

// The side of the square in which a picture is shown, in CSS pixels.
constexpr int64_t kShown = 128;
// Two stored pixels per shown one suffice for sharp screens and for paper.
constexpr int64_t kStored = 2 * kShown;

void check(const Image& image) {
  const int64_t c = image.channels;
  const int64_t limit = int64_t{1} << 24;
  const bool sized = image.width >= 1 && image.width < limit && image.height >= 1 &&
                     image.height < limit && (c == 1 || c == 3 || c == 4);
  if (!sized || image.pixels.size() != static_cast<size_t>(image.width * image.height * c))
    throw std::invalid_argument(fmt::format("an image of {}x{}, {} channels can't have {} bytes",
                                            image.width, image.height, c, image.pixels.size()));
}

// The size whose longer side is `side`.
ImageSize fit(const Image& image, int64_t side) {
  const int64_t longer = std::max(image.width, image.height);
  return {std::max<int64_t>(1, image.width * side / longer),
          std::max<int64_t>(1, image.height * side / longer)};
}

}  // namespace

std::string base64(std::span<const uint8_t> bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t present = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < present ? bytes[i + k] : 0u);
    for (size_t k = 0; k < 4; ++k) out += k <= present ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string picture_markup(const Image& image, const std::string& alt) {
  check(image);
  const int64_t side = std::max(image.width, image.height);
  const int64_t enlarged = kShown / side;
  const ImageSize shown = enlarged >= 1 ? ImageSize{image.width * enlarged, image.height * enlarged}
                                        : fit(image, kShown);
  std::vector<uint8_t> png;
  if (side > kStored) {
    const ImageSize stored = fit(image, kStored);
    png = encode_png(resize(image, {.width = stored.width, .height = stored.height}));
  } else {
    png = encode_png(image);
  }
  return fmt::format(R"(<img{} src="data:image/png;base64,{}" width="{}" height="{}" alt="{}">)",
                     enlarged >= 2 ? R"( class="pixelated")" : "", base64(png), shown.width,
                     shown.height, alt);
}

}  // namespace striate
