#include "striate/image/resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <numeric>
#include <stdexcept>

#include "image/formats.h"
#include "image/resample.h"

namespace striate {

namespace {

// A filter of the source position relative to the output's centre, zero beyond `support`.
struct Filter {
  double (*value)(double);
  double support;
};

double box_filter(double x) {
  return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

double triangle_filter(double x) {
  return std::max(0.0, 1.0 - std::abs(x));
}

// Source: keys1981, eq. 4, with a = -1/2.
double cubic_filter(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos_filter(double x) {
  return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
}

Filter filter_of(Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::kBox:
      return {box_filter, 0.5};
    case Interpolation::kBilinear:
      return {triangle_filter, 1.0};
    case Interpolation::kBicubic:
      return {cubic_filter, 2.0};
    case Interpolation::kLanczos:
      return {lanczos_filter, 3.0};
    case Interpolation::kNearest:
      break;
  }
  throw std::logic_error("nearest-neighbour interpolation has no filter");
}

// One axis of a resize. Pillow keeps the edges of the box in single precision.
struct Axis {
  int64_t source_size;
  int64_t size;
  float begin;
  float end;

  bool is_identity() const {
    return size == source_size && begin == 0.0F && end == static_cast<float>(source_size);
  }

  double scale() const { return static_cast<double>(end - begin) / static_cast<double>(size); }
};

// A range of positions along an axis.
struct Range {
  int64_t first;
  int64_t count;
};

// Of the outputs in a range.
Taps make_taps(const Axis& axis, const Filter& filter, const Range& outputs) {
  const double scale = axis.scale();
  const double filter_scale = std::max(scale, 1.0);
  const double support = filter.support * filter_scale;
  const double inverse = 1.0 / filter_scale;

  Taps taps;
  const auto count = static_cast<size_t>(outputs.count);
  taps.spans.reserve(count);
  taps.weights.reserve(count * (2 * static_cast<size_t>(support) + 3));
  std::vector<double> exact;
  for (int64_t i = outputs.first; i < outputs.first + outputs.count; ++i) {
    const double centre = axis.begin + (static_cast<double>(i) + 0.5) * scale;
    const auto first =
        std::clamp<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0, axis.source_size - 1);
    const auto last =
        std::min<int64_t>(axis.source_size, static_cast<int64_t>(centre + support + 0.5));
    exact.clear();
    double sum = 0.0;
    for (int64_t x = 0; x < last - first; ++x) {
      exact.push_back(filter.value((static_cast<double>(x + first) - centre + 0.5) * inverse));
      sum += exact.back();
    }
    taps.spans.push_back({first, last - first, static_cast<int64_t>(taps.weights.size())});
    for (double weight : exact) {
      if (sum != 0.0) weight /= sum;
      weight *= 1 << kWeightBits;
      taps.weights.push_back(static_cast<int32_t>(weight < 0.0 ? weight - 0.5 : weight + 0.5));
    }
  }
  return taps;
}

// The source positions of nearest-neighbour output positions. They are added up, not multiplied,
// since Pillow's rounding on ties comes from that.
std::vector<int64_t> nearest_positions(const Axis& axis) {
  const double scale = axis.scale();
  std::vector<int64_t> positions(static_cast<size_t>(axis.size));
  double position = axis.begin + scale * 0.5;
  for (int64_t& index : positions) {
    index = std::clamp<int64_t>(static_cast<int64_t>(position), 0, axis.source_size - 1);
    position += scale;
  }
  return positions;
}

template <int kChannels>
void copy_pixels(const uint8_t* source, const std::vector<int64_t>& columns, uint8_t* out) {
  for (const int64_t x : columns) {
    for (int c = 0; c < kChannels; ++c) *out++ = source[x * kChannels + c];
  }
}

Image pick_pixels(const Image& image, const std::vector<int64_t>& columns,
                  const std::vector<int64_t>& rows) {
  Image result = make_image(static_cast<int64_t>(columns.size()), static_cast<int64_t>(rows.size()),
                            image.channels);
  const auto copy = image.channels == 1   ? copy_pixels<1>
                    : image.channels == 3 ? copy_pixels<3>
                                          : copy_pixels<4>;
  for (int64_t y = 0; y < result.height; ++y) {
    copy(image.row(rows[static_cast<size_t>(y)]), columns, result.row(y));
  }
  return result;
}

// Pillow 13's rule, found by trying sizes; earlier releases always go along the rows first, which
// differs by the rounding between the passes. It also keeps the picture in between from having more
// pixels than the larger of the other two.
bool columns_come_first(const Axis& horizontal, const Axis& vertical) {
  const int64_t lost_rows = vertical.source_size - vertical.size;
  const int64_t lost_columns = horizontal.source_size - horizontal.size;
  return lost_rows > 0 && lost_rows > 2 * lost_columns;
}

// round(a * b / 255), exact for bytes.
int multiply_255(int a, int b) {
  const int product = a * b + 128;
  return (product + (product >> 8)) >> 8;
}

// Colours of transparent pixels must not bleed into their neighbours.
Image premultiplied(const Image& image) {
  Image result = image;
  for (size_t i = 0; i < result.pixels.size(); i += 4) {
    const int alpha = result.pixels[i + 3];
    for (size_t c = i; c < i + 3; ++c) {
      result.pixels[c] = static_cast<uint8_t>(multiply_255(result.pixels[c], alpha));
    }
  }
  return result;
}

void unpremultiply(Image& image) {
  for (size_t i = 0; i < image.pixels.size(); i += 4) {
    const int alpha = image.pixels[i + 3];
    if (alpha == 0 || alpha == 255) continue;
    for (size_t c = i; c < i + 3; ++c) {
      image.pixels[c] = static_cast<uint8_t>(std::min(255, 255 * image.pixels[c] / alpha));
    }
  }
}

void check_box(const SourceBox& box, const ImageSize& image) {
  // Written so that a NaN fails.
  const bool fits = box.left >= 0.0 && box.top >= 0.0 && box.left < box.right &&
                    box.top < box.bottom && box.right <= static_cast<double>(image.width) &&
                    box.bottom <= static_cast<double>(image.height);
  if (fits) return;
  throw std::invalid_argument(
      fmt::format("can't resize the box ({}, {}) to ({}, {}) of an image of {}x{}", box.left,
                  box.top, box.right, box.bottom, image.width, image.height));
}

void check_size(const ImageSize& size) {
  if (size.width >= 1 && size.height >= 1 && size.width <= kMaxImagePixels / size.height) return;
  throw std::invalid_argument(
      fmt::format("can't resize to {}x{}: sides start at 1, and {} pixels "
                  "are the most",
                  size.width, size.height, kMaxImagePixels));
}

// What one axis of a resize reads, relative to the first position that it reads.
struct AxisPlan {
  Range reads;
  bool copies;                     // the output is what is read
  Taps taps;                       // of filters
  std::vector<int64_t> positions;  // of nearest-neighbour interpolation
};

AxisPlan plan_axis(const Axis& axis, Interpolation interpolation, const Range& outputs) {
  if (axis.is_identity()) return {outputs, true, {}, {}};
  AxisPlan plan{{}, false, {}, {}};
  if (interpolation == Interpolation::kNearest) {
    const std::vector<int64_t> all = nearest_positions(axis);
    plan.positions = {all.begin() + outputs.first, all.begin() + outputs.first + outputs.count};
    const int64_t first = plan.positions.front();
    plan.reads = {first, plan.positions.back() - first + 1};
    for (int64_t& position : plan.positions) position -= first;
    return plan;
  }
  plan.taps = make_taps(axis, filter_of(interpolation), outputs);
  const int64_t first = plan.taps.spans.front().first;
  plan.reads = {first, plan.taps.spans.back().first + plan.taps.spans.back().count - first};
  for (TapSpan& span : plan.taps.spans) span.first -= first;
  return plan;
}

std::vector<int64_t> positions_of(const AxisPlan& plan) {
  if (!plan.copies) return plan.positions;
  std::vector<int64_t> positions(static_cast<size_t>(plan.reads.count));
  std::iota(positions.begin(), positions.end(), int64_t{0});
  return positions;
}

}  // namespace

struct PartialResize::Plan {
  bool is_nearest;
  bool columns_first;
  AxisPlan horizontal;
  AxisPlan vertical;

  Image filter(const Image& image) const {
    if (horizontal.copies && vertical.copies) return image;
    if (horizontal.copies) return resample_rows(image, vertical.taps);
    if (vertical.copies) return resample_columns(image, horizontal.taps, {0, image.height});
    if (columns_first) {
      const Image lowered = resample_rows(image, vertical.taps);
      return resample_columns(lowered, horizontal.taps, {0, lowered.height});
    }
    return resample_rows(resample_columns(image, horizontal.taps, {0, image.height}),
                         vertical.taps);
  }
};

PartialResize::PartialResize(const ImageSize& source, const ResizeOptions& options,
                             const Rectangle& part) {
  check_size(source);
  check_size({options.width, options.height});
  check_part(part, {options.width, options.height});
  const SourceBox box = options.box.value_or(
      SourceBox{0.0, 0.0, static_cast<double>(source.width), static_cast<double>(source.height)});
  check_box(box, source);
  const Axis horizontal{source.width, options.width, static_cast<float>(box.left),
                        static_cast<float>(box.right)};
  const Axis vertical{source.height, options.height, static_cast<float>(box.top),
                      static_cast<float>(box.bottom)};
  plan_ = std::make_unique<Plan>(
      Plan{.is_nearest = options.interpolation == Interpolation::kNearest,
           .columns_first = columns_come_first(horizontal, vertical),
           .horizontal = plan_axis(horizontal, options.interpolation, {part.x, part.width}),
           .vertical = plan_axis(vertical, options.interpolation, {part.y, part.height})});
}

PartialResize::~PartialResize() = default;

Rectangle PartialResize::source_part() const {
  return {.x = plan_->horizontal.reads.first,
          .y = plan_->vertical.reads.first,
          .width = plan_->horizontal.reads.count,
          .height = plan_->vertical.reads.count};
}

Image PartialResize::apply(const Image& image) const {
  check_whole_image(image);
  const Rectangle reads = source_part();
  if (image.width != reads.width || image.height != reads.height) {
    throw std::invalid_argument(fmt::format("a resize of a part of {}x{} got one of {}x{}",
                                            reads.width, reads.height, image.width, image.height));
  }
  if (plan_->is_nearest) {
    return pick_pixels(image, positions_of(plan_->horizontal), positions_of(plan_->vertical));
  }
  const bool is_copy = plan_->horizontal.copies && plan_->vertical.copies;
  if (image.channels != 4 || is_copy) return plan_->filter(image);
  Image result = plan_->filter(premultiplied(image));
  unpremultiply(result);
  return result;
}

Image resize(const Image& image, const ResizeOptions& options) {
  check_whole_image(image);
  check_size({options.width, options.height});
  const PartialResize whole({image.width, image.height}, options,
                            {.width = options.width, .height = options.height});
  const Rectangle reads = whole.source_part();
  if (reads.width == image.width && reads.height == image.height) return whole.apply(image);
  return whole.apply(crop(image, reads));
}

ImageSize shorter_side_size(const ImageSize& size, int64_t target) {
  for (const int64_t side : {size.width, size.height, target}) {
    if (side >= 1 && side <= kMaxImagePixels) continue;
    throw std::invalid_argument(
        fmt::format("can't scale {}x{} to a shorter side of {}", size.width, size.height, target));
  }
  if (size.width <= size.height) return {target, target * size.height / size.width};
  return {target * size.width / size.height, target};
}

}  // namespace striate
