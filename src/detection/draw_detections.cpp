#include "striate/detection/draw_detections.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "detection/small_font.h"

namespace striate {
namespace {

using Color = std::array<uint8_t, 3>;

// Bright, and apart for eyes that tell red and green badly. Okabe and Ito, 2008, without their
// black.
constexpr std::array<Color, 7> kColors = {{{230, 159, 0},
                                           {86, 180, 233},
                                           {0, 158, 115},
                                           {240, 228, 66},
                                           {213, 94, 0},
                                           {204, 121, 167},
                                           {0, 114, 178}}};
constexpr Color kIgnored = {150, 150, 150};
constexpr double kTint = 0.45;           // of a mask's colour over the image's
constexpr int64_t kPixelsPerLine = 400;  // of the shorter side, for a pixel of a line's width

struct Drawn {
  const Box* box;
  const std::optional<RunLengthMask>* mask;
  Color color;
  std::string text;
};

class Canvas {
 public:
  explicit Canvas(const Image& image)
      : image_(to_rgb(image)),
        line_(std::max<int64_t>(1, std::min(image.width, image.height) / kPixelsPerLine)) {}

  void tint(const RunLengthMask& mask, const Color& color) {
    if (mask.width != image_.width || mask.height != image_.height) {
      throw std::invalid_argument("a mask has another size than its image");
    }
    const Image bitmap = decode_mask(mask);
    for (size_t i = 0; i < bitmap.pixels.size(); ++i) {
      if (bitmap.pixels[i] == 0) continue;
      for (size_t k = 0; k < 3; ++k) {
        uint8_t& value = image_.pixels[3 * i + k];
        value = static_cast<uint8_t>(std::lround((1 - kTint) * value + kTint * color[k]));
      }
    }
  }

  void frame(const Box& box, const Color& color) {
    const Rectangle inside = pixels_of(box);
    fill({inside.x, inside.y, inside.width, line_}, color);
    fill({inside.x, inside.y + inside.height - line_, inside.width, line_}, color);
    fill({inside.x, inside.y, line_, inside.height}, color);
    fill({inside.x + inside.width - line_, inside.y, line_, inside.height}, color);
  }

  // Above the box, or inside it where there is no room.
  void label(const Box& box, const Color& color, const std::string& text) {
    const int64_t height = (kGlyphHeight + 2) * line_;
    const int64_t width = (std::ssize(text) * (kGlyphWidth + 1) + 1) * line_;
    const Rectangle inside = pixels_of(box);
    const int64_t x = std::clamp<int64_t>(inside.x, 0, std::max<int64_t>(0, image_.width - width));
    const int64_t y = inside.y >= height ? inside.y - height : std::max<int64_t>(inside.y, 0);
    fill({x, y, width, height}, color);
    for (int64_t i = 0; i < std::ssize(text); ++i) {
      letter(text[i], x + (i * (kGlyphWidth + 1) + 1) * line_, y + line_);
    }
  }

  Image finish() { return std::move(image_); }

 private:
  // The part of the image that a box covers; pixels that it touches.
  Rectangle pixels_of(const Box& box) const {
    const auto low = [](double value, int64_t limit) {
      return static_cast<int64_t>(std::clamp(std::floor(value), 0.0, static_cast<double>(limit)));
    };
    const auto high = [](double value, int64_t limit) {
      return static_cast<int64_t>(std::clamp(std::ceil(value), 0.0, static_cast<double>(limit)));
    };
    const int64_t x = low(box.x1, image_.width);
    const int64_t y = low(box.y1, image_.height);
    return {x, y, high(box.x2, image_.width) - x, high(box.y2, image_.height) - y};
  }

  void fill(const Rectangle& part, const Color& color) {
    const int64_t left = std::clamp<int64_t>(part.x, 0, image_.width);
    const int64_t right = std::clamp<int64_t>(part.x + part.width, 0, image_.width);
    const int64_t top = std::clamp<int64_t>(part.y, 0, image_.height);
    const int64_t bottom = std::clamp<int64_t>(part.y + part.height, 0, image_.height);
    for (int64_t y = top; y < bottom; ++y) {
      for (int64_t x = left; x < right; ++x) {
        std::ranges::copy(color, image_.row(y) + 3 * x);
      }
    }
  }

  void letter(char letter, int64_t x, int64_t y) {
    const Glyph& columns = glyph(letter);
    for (int64_t column = 0; column < kGlyphWidth; ++column) {
      for (int64_t row = 0; row < kGlyphHeight; ++row) {
        if ((columns[column] >> row & 1) == 0) continue;
        fill({x + column * line_, y + row * line_, line_, line_}, {0, 0, 0});
      }
    }
  }

  Image image_;
  int64_t line_;  // width, in pixels
};

const std::string& name_of(int64_t label, const std::vector<std::string>& class_names) {
  if (label >= 0 && label < std::ssize(class_names)) return class_names[label];
  throw std::invalid_argument(
      fmt::format("label {} is not among {} classes", label, class_names.size()));
}

// Those that come later lie on top.
Image draw(const Image& image, const std::vector<Drawn>& objects) {
  Canvas canvas(image);
  for (const Drawn& object : objects) {
    if (*object.mask) canvas.tint(**object.mask, object.color);
  }
  for (const Drawn& object : objects) canvas.frame(*object.box, object.color);
  for (const Drawn& object : objects) {
    if (!object.text.empty()) canvas.label(*object.box, object.color, object.text);
  }
  return canvas.finish();
}

Color color_of(int64_t label) {
  return kColors[label % kColors.size()];
}

}  // namespace

Image draw_detections(const Image& image, const std::vector<Detection>& detections,
                      const std::vector<std::string>& class_names) {
  std::vector<Drawn> objects;
  std::vector<const Detection*> order;
  for (const Detection& detection : detections) order.push_back(&detection);
  std::ranges::stable_sort(order, {}, &Detection::score);
  for (const Detection* detection : order) {
    const std::string& name = name_of(detection->label, class_names);
    objects.push_back({&detection->box, &detection->mask, color_of(detection->label),
                       fmt::format("{} {:.2f}", name, detection->score)});
  }
  return draw(image, objects);
}

Image draw_instances(const Image& image, const std::vector<Instance>& instances,
                     const std::vector<std::string>& class_names) {
  std::vector<Drawn> objects;
  for (const Instance& instance : instances) {
    const std::string& name = name_of(instance.label, class_names);
    objects.push_back({&instance.box, &instance.mask,
                       instance.ignored ? kIgnored : color_of(instance.label), name});
  }
  return draw(image, objects);
}

}  // namespace striate
