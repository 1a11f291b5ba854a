#include "data/planned_image.h"

#include <algorithm>

#include "striate/image/resize.h"

namespace striate {

namespace {

Rectangle whole(const ImageSize& size) {
  return {.width = size.width, .height = size.height};
}

// Empty (width or height 0) where they do not meet.
Rectangle intersection(const Rectangle& a, const Rectangle& b) {
  const int64_t x = std::max(a.x, b.x);
  const int64_t y = std::max(a.y, b.y);
  return {.x = x,
          .y = y,
          .width = std::max<int64_t>(0, std::min(a.x + a.width, b.x + b.width) - x),
          .height = std::max<int64_t>(0, std::min(a.y + a.height, b.y + b.height) - y)};
}

bool is_empty(const Rectangle& part) {
  return part.width == 0 || part.height == 0;
}

bool same(const Rectangle& a, const Rectangle& b) {
  return a.x == b.x && a.y == b.y && a.width == b.width && a.height == b.height;
}

// `part` moved by the negative of an offset.
Rectangle relative_to(const Rectangle& part, int64_t x, int64_t y) {
  return {.x = part.x - x, .y = part.y - y, .width = part.width, .height = part.height};
}

// A row of pixels, or its mirror image, as floats.
template <int kChannels, bool kFlipped>
void convert_row(const uint8_t* source, int64_t width, const float* table, float* out) {
  constexpr int64_t kStep = kFlipped ? -kChannels : kChannels;
  if (kFlipped) source += (width - 1) * kChannels;
  for (int64_t x = 0; x < width; ++x, source += kStep, out += kChannels) {
    for (int c = 0; c < kChannels; ++c) out[c] = table[256 * c + source[c]];
  }
}

template <int kChannels>
void fill_black(int64_t width, const float* table, float* out) {
  for (int64_t x = 0; x < width; ++x, out += kChannels) {
    for (int c = 0; c < kChannels; ++c) out[c] = table[256 * c];
  }
}

}  // namespace

PlannedImage::PlannedImage(PendingImage source)
    : source_(std::move(source)), part_(whole(source_.size())), window_(part_), valid_(part_) {}

void PlannedImage::set_channels(int64_t count) {
  if (count == channels()) return;
  const Image before = image();
  *this = PlannedImage(PendingImage(count == 1 ? to_grey(before) : to_rgb(before)));
}

void PlannedImage::crop(const Rectangle& part) {
  const int64_t x = is_flipped_ ? window_.width - part.x - part.width : part.x;
  window_ = {
      .x = window_.x + x, .y = window_.y + part.y, .width = part.width, .height = part.height};
  valid_ = intersection(valid_, window_);
}

void PlannedImage::flip() {
  is_flipped_ = !is_flipped_;
}

void PlannedImage::scale(const ImageSize& size, Interpolation interpolation) {
  if (size == ImageSize{width(), height()}) return;
  add_scaling({size, interpolation, false});
}

void PlannedImage::scale_part(const Rectangle& part, const ImageSize& size,
                              Interpolation interpolation) {
  crop(part);
  add_scaling({size, interpolation, true});
}

// Carries out what was put down so far.
void PlannedImage::settle() {
  *this = PlannedImage(PendingImage(image()));
}

void PlannedImage::add_scaling(const Scaling& scaling) {
  // Filters read beyond what is seen, and round mirror images otherwise.
  if (scaling_ || is_flipped_ || !same(window_, valid_)) settle();
  part_ = window_;
  scaling_ = scaling;
  window_ = whole(scaling.size);
  valid_ = window_;
}

// The part of the scaled image that is seen.
Rectangle PlannedImage::seen() const {
  return intersection(valid_, window_);
}

int64_t PlannedImage::decoding_scale() const {
  int64_t scale = 1;
  if (!scaling_->may_decode_smaller || !source_.has_scales()) return scale;
  if (scaling_->interpolation == Interpolation::kNearest) return scale;
  while (scale < 8 && part_.width >= 2 * scale * scaling_->size.width &&
         part_.height >= 2 * scale * scaling_->size.height) {
    scale *= 2;
  }
  return scale;
}

// A part of the scaled image.
Image PlannedImage::scaled(const Rectangle& part) const {
  if (!scaling_) return source_.decode(part);
  ResizeOptions options{.width = scaling_->size.width,
                        .height = scaling_->size.height,
                        .interpolation = scaling_->interpolation};
  const int64_t scale = decoding_scale();
  Rectangle decoded = part_;  // in pixels of the smaller picture
  if (scale > 1) {
    const auto divided_up = [scale](int64_t end) { return (end + scale - 1) / scale; };
    decoded.x = part_.x / scale;
    decoded.y = part_.y / scale;
    decoded.width = divided_up(part_.x + part_.width) - decoded.x;
    decoded.height = divided_up(part_.y + part_.height) - decoded.y;
    const auto edge = [scale](int64_t position, int64_t start) {
      return static_cast<double>(position) / static_cast<double>(scale) -
             static_cast<double>(start);
    };
    options.box = SourceBox{.left = edge(part_.x, decoded.x),
                            .top = edge(part_.y, decoded.y),
                            .right = edge(part_.x + part_.width, decoded.x),
                            .bottom = edge(part_.y + part_.height, decoded.y)};
  }
  const PartialResize resizing({decoded.width, decoded.height}, options, part);
  return resizing.apply(
      source_.decode(relative_to(resizing.source_part(), -decoded.x, -decoded.y), scale));
}

Image PlannedImage::image() const {
  const Rectangle part = seen();
  Image result;
  if (same(part, window_)) {
    result = scaled(part);
  } else {
    result = make_image(width(), height(), channels());
    const Image inner = is_empty(part) ? Image{} : scaled(part);
    for (int64_t y = 0; y < inner.height; ++y) {
      std::copy_n(inner.row(y), inner.width * inner.channels,
                  result.row(part.y - window_.y + y) + (part.x - window_.x) * inner.channels);
    }
  }
  return is_flipped_ ? flip_horizontally(result) : result;
}

template <int kChannels>
void PlannedImage::write_channels(const ByteTable& table, float* out) const {
  const Rectangle part = seen();
  const float* values = table.values.data();
  // Pixels that are in memory as they are needed are not copied first.
  ImageView view = source_.view();
  Image made;
  if (scaling_ || view.pixels == nullptr) {
    if (!is_empty(part)) made = scaled(part);
    view = {made.pixels.data(), made.width, made.height, kChannels};
  } else {
    view.pixels += (part.y * view.width + part.x) * kChannels;
  }
  const int64_t before = part.x - window_.x;
  const int64_t after = window_.width - part.width - before;
  const int64_t left = is_flipped_ ? after : before;
  const int64_t right = is_flipped_ ? before : after;
  const auto convert = is_flipped_ ? convert_row<kChannels, true> : convert_row<kChannels, false>;
  for (int64_t y = window_.y; y < window_.y + window_.height; ++y) {
    if (is_empty(part) || y < part.y || y >= part.y + part.height) {
      fill_black<kChannels>(window_.width, values, out);
    } else {
      fill_black<kChannels>(left, values, out);
      convert(view.row(y - part.y), part.width, values, out + left * kChannels);
      fill_black<kChannels>(right, values, out + (left + part.width) * kChannels);
    }
    out += window_.width * kChannels;
  }
}

void PlannedImage::write(const ByteTable& table, float* out) const {
  switch (channels()) {
    case 1:
      return write_channels<1>(table, out);
    case 3:
      return write_channels<3>(table, out);
    default:
      return write_channels<4>(table, out);
  }
}

}  // namespace striate
