#include "striate/image/codec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "image/formats.h"
#include "striate/base/file.h"

namespace striate {

namespace {

enum class FileFormat { kJpeg, kPng };

bool starts_with(std::span<const uint8_t> bytes, std::initializer_list<uint8_t> magic) {
  return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin());
}

FileFormat recognise(const EncodedImage& file) {
  const std::string hint = "pictures can be JPEG or PNG files";
  if (file.bytes.empty()) throw FormatError(file.origin + ": the file is empty", hint);
  if (starts_with(file.bytes, {0xFF, 0xD8})) return FileFormat::kJpeg;
  // Four of the eight bytes: libpng says what befell the other four.
  if (starts_with(file.bytes, {0x89, 'P', 'N', 'G'})) return FileFormat::kPng;
  const auto first = file.bytes.first(std::min<size_t>(file.bytes.size(), 4));
  throw FormatError(fmt::format("{}: neither JPEG nor PNG, the first bytes are {:02x}", file.origin,
                                fmt::join(first, " ")),
                    hint);
}

}  // namespace

FormatError damaged_file(const EncodedImage& file, const std::string& kind,
                         const std::string& problem) {
  return FormatError(fmt::format("{}: damaged {}: {}", file.origin, kind, problem),
                     "the file is cut short or damaged: copy it again, or leave it out");
}

void check_pixel_count(const EncodedImage& file, const ImageSize& size) {
  if (size.width <= kMaxImagePixels / std::max<int64_t>(size.height, 1)) return;
  throw FormatError(
      fmt::format("{}: the header declares {}x{}, more than the {} pixels that an image may have",
                  file.origin, size.width, size.height, kMaxImagePixels),
      "scale the picture down");
}

void check_whole_image(const Image& image) {
  const bool whole =
      image.width >= 1 && image.height >= 1 && image.width <= kMaxImagePixels / image.height &&
      (image.channels == 1 || image.channels == 3 || image.channels == 4) &&
      image.pixels.size() == static_cast<size_t>(image.width * image.height * image.channels);
  if (whole) return;
  throw std::invalid_argument(fmt::format("not a whole image: {}x{}, {} channels, {} bytes",
                                          image.width, image.height, image.channels,
                                          image.pixels.size()));
}

Image decode_image(std::span<const uint8_t> bytes, const std::string& origin,
                   const DecodeOptions& options) {
  const int64_t scale = options.scale;
  if (scale != 1 && scale != 2 && scale != 4 && scale != 8) {
    throw std::invalid_argument(
        fmt::format("an image is decoded at 1/1, 1/2, 1/4 or 1/8 of its "
                    "size, got 1/{}",
                    scale));
  }
  const EncodedImage file{bytes, origin};
  if (recognise(file) == FileFormat::kJpeg) return decode_jpeg(file, options);
  if (scale != 1) throw std::invalid_argument("only a JPEG is decoded at a smaller size");
  const Image image = decode_png(file, options.format);
  return options.part ? crop(image, *options.part) : image;
}

Image decode_image(std::span<const uint8_t> bytes, const std::string& origin, PixelFormat format) {
  return decode_image(bytes, origin, DecodeOptions{.format = format});
}

ImageHeader read_image_header(std::span<const uint8_t> bytes, const std::string& origin) {
  const EncodedImage file{bytes, origin};
  if (recognise(file) == FileFormat::kJpeg) return {read_jpeg_size(file), true};
  return {read_png_size(file), false};
}

Image read_image(const std::filesystem::path& path, PixelFormat format) {
  return decode_image(read_file(path), path.string(), format);
}

ImageSize read_image_size(const std::filesystem::path& path) {
  return read_image_header(MappedFile(path).bytes(), path.string()).size;
}

}  // namespace striate
