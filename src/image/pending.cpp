#include "striate/image/pending.h"

#include <cstring>
#include <stdexcept>

#include "image/formats.h"

namespace striate {

PendingImage::PendingImage(Image image)
    : width_(image.width),
      height_(image.height),
      channels_(image.channels),
      source_(std::move(image)) {
  check_whole_image(std::get<Image>(source_));
}

PendingImage::PendingImage(ImageView image)
    : width_(image.width), height_(image.height), channels_(image.channels), source_(image) {}

PendingImage::PendingImage(std::vector<uint8_t> file, std::string origin, PixelFormat format) {
  if (format == PixelFormat::kAsStored) {
    throw std::invalid_argument("a pending image is decoded as grey or RGB");
  }
  const ImageHeader header = read_image_header(file, origin);
  width_ = header.size.width;
  height_ = header.size.height;
  channels_ = format == PixelFormat::kGrey ? 1 : 3;
  source_ = File{std::move(file), std::move(origin), format, header.is_jpeg};
}

bool PendingImage::has_scales() const {
  const File* file = std::get_if<File>(&source_);
  return file != nullptr && file->is_jpeg;
}

ImageView PendingImage::view() const {
  if (const auto* view = std::get_if<ImageView>(&source_)) return *view;
  const auto* image = std::get_if<Image>(&source_);
  const uint8_t* pixels = image == nullptr ? nullptr : image->pixels.data();
  return {.pixels = pixels, .width = width_, .height = height_, .channels = channels_};
}

Image PendingImage::decode(const Rectangle& part, int64_t scale) const {
  if (const File* file = std::get_if<File>(&source_)) {
    const bool is_whole = scale == 1 && part.width == width_ && part.height == height_;
    return decode_image(
        file->bytes, file->origin,
        DecodeOptions{.format = file->format,
                      .scale = scale,
                      .part = is_whole ? std::nullopt : std::optional<Rectangle>(part)});
  }
  if (scale != 1) throw std::invalid_argument("only a JPEG is decoded at a smaller size");
  check_part(part, size());
  Image result = make_image(part.width, part.height, channels_);
  const ImageView source = view();
  const auto row_bytes = static_cast<size_t>(part.width * channels_);
  for (int64_t y = 0; y < part.height; ++y) {
    std::memcpy(result.row(y), source.row(part.y + y) + part.x * channels_, row_bytes);
  }
  return result;
}

}  // namespace striate
