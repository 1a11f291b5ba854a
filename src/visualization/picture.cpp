#include "striate/visualization/picture.h"

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "striate/base/error.h"
#include "striate/image/resize.h"

namespace striate {

namespace {

using Color = std::array<double, 3>;

// Even in lightness, and readable without red and green: violet, blue, green, yellow.
constexpr std::array<Color, 6> kHeat = {{{0.27, 0.00, 0.33},
                                         {0.25, 0.27, 0.53},
                                         {0.16, 0.47, 0.56},
                                         {0.13, 0.66, 0.52},
                                         {0.48, 0.82, 0.32},
                                         {0.99, 0.91, 0.14}}};
constexpr std::array<Color, 5> kDiverging = {{{0.02, 0.19, 0.38},
                                              {0.26, 0.58, 0.76},
                                              {0.97, 0.97, 0.97},
                                              {0.84, 0.38, 0.30},
                                              {0.40, 0.00, 0.12}}};
constexpr double kCutShare = 0.01;

template <size_t count>
Color between(const std::array<Color, count>& colors, double at) {
  const double place = std::clamp(at, 0.0, 1.0) * (count - 1);
  const auto left = std::min(static_cast<size_t>(place), count - 2);
  const double share = place - static_cast<double>(left);
  Color mixed{};
  for (size_t c = 0; c < 3; ++c) {
    mixed[c] = colors[left][c] * (1 - share) + colors[left + 1][c] * share;
  }
  return mixed;
}

uint8_t byte(double value) {
  return static_cast<uint8_t>(std::lround(std::clamp(value, 0.0, 1.0) * 255));
}

// In main memory, float32, contiguous; what is not a number becomes zero.
at::Tensor readable(const at::Tensor& values) {
  return values.detach().to(at::kCPU, at::kFloat).nan_to_num(0, 0, 0).contiguous();
}

void check_map(const at::Tensor& map) {
  if (map.dim() != 2 || map.numel() == 0) {
    throw ShapeError(
        fmt::format("a map needs the shape (H, W), got {} axes", static_cast<int>(map.dim())));
  }
}

void check_picture(const at::Tensor& values) {
  if (values.dim() != 3 || values.numel() == 0 || (values.size(0) != 1 && values.size(0) != 3)) {
    throw ShapeError("a picture needs the shape (1, H, W) or (3, H, W)");
  }
}

// The size that all but a small share of numbers stay below; never 0.
double usual_size(const at::Tensor& values) {
  const at::Tensor sizes = std::get<0>(values.abs().flatten().sort());
  const auto index =
      static_cast<int64_t>(std::ceil(static_cast<double>(sizes.numel()) * (1 - kCutShare)) - 1);
  const auto size = sizes[std::clamp<int64_t>(index, 0, sizes.numel() - 1)].item<double>();
  if (size > 0) return size;
  const auto largest = sizes[-1].item<double>();
  return largest > 0 ? largest : 1;
}

template <typename ColorOf>
Image colored(const at::Tensor& map, int64_t channels, const ColorOf& color_of) {
  Image image = make_image(map.size(1), map.size(0), channels);
  const float* from = map.const_data_ptr<float>();
  for (int64_t i = 0; i < map.numel(); ++i) {
    const auto color = color_of(static_cast<double>(from[i]));
    for (int64_t c = 0; c < channels; ++c) {
      image.pixels[static_cast<size_t>(i * channels + c)] = byte(color[static_cast<size_t>(c)]);
    }
  }
  return image;
}

}  // namespace

Image pixel_picture(const at::Tensor& pixels) {
  check_picture(pixels);
  const at::Tensor readable_pixels = readable(pixels).permute({1, 2, 0}).contiguous();
  Image image = make_image(pixels.size(2), pixels.size(1), pixels.size(0));
  const float* from = readable_pixels.const_data_ptr<float>();
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = byte(from[i]);
  return image;
}

Image signed_picture(const at::Tensor& values) {
  check_picture(values);
  const at::Tensor x = readable(values);
  return pixel_picture(x / (2 * usual_size(x)) + 0.5);
}

Image diverging_picture(const at::Tensor& map) {
  check_map(map);
  const at::Tensor x = readable(map);
  const double size = usual_size(x);
  return colored(x, 3, [&](double v) { return between(kDiverging, 0.5 + v / (2 * size)); });
}

Image heat_picture(const at::Tensor& map) {
  check_map(map);
  const at::Tensor x = readable(map);
  const auto low = x.min().item<double>();
  const double range = usual_size(x - low);
  return colored(x, 3, [&](double v) { return between(kHeat, (v - low) / range); });
}

Image heat_overlay(const at::Tensor& map) {
  check_map(map);
  const at::Tensor x = readable(map);
  const auto low = x.min().item<double>();
  const double range = usual_size(x - low);
  return colored(x, 4, [&](double v) {
    const double at = (v - low) / range;
    const Color color = between(kHeat, at);
    return std::array<double, 4>{color[0], color[1], color[2], 0.15 + 0.75 * at};
  });
}

Image blend(const Image& picture, const Image& overlay) {
  if (picture.width != overlay.width || picture.height != overlay.height || overlay.channels != 4) {
    throw std::invalid_argument("an overlay needs the picture's size and opacity");
  }
  Image result = to_rgb(picture);
  for (int64_t i = 0; i < picture.width * picture.height; ++i) {
    const int64_t opacity = overlay.pixels[static_cast<size_t>(i * 4 + 3)];
    for (int64_t c = 0; c < 3; ++c) {
      uint8_t& pixel = result.pixels[static_cast<size_t>(i * 3 + c)];
      const int64_t over = overlay.pixels[static_cast<size_t>(i * 4 + c)];
      pixel = static_cast<uint8_t>((pixel * (255 - opacity) + over * opacity + 127) / 255);
    }
  }
  return result;
}

at::Tensor pixel_strength(const at::Tensor& gradient) {
  if (gradient.dim() != 3) throw ShapeError("a gradient of an image has the shape (C, H, W)");
  return gradient.abs().amax(0);
}

Image picture_grid(const std::vector<Image>& pictures, const GridOptions& options) {
  if (pictures.empty()) throw std::invalid_argument("a grid needs a picture at least");
  const Image& first = pictures.front();
  if (std::ranges::any_of(pictures, [&](const Image& image) {
        return image.width != first.width || image.height != first.height ||
               image.channels != first.channels;
      })) {
    throw std::invalid_argument("the pictures of a grid need one size and number of channels");
  }
  const auto count = static_cast<int64_t>(pictures.size());
  const auto root = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  const int64_t columns = std::min(count, options.columns > 0 ? options.columns : root);
  const int64_t rows = (count + columns - 1) / columns;
  const int64_t width = first.width * options.enlarge;
  const int64_t height = first.height * options.enlarge;
  Image grid = make_image(columns * (width + options.gap) + options.gap,
                          rows * (height + options.gap) + options.gap, first.channels);
  std::ranges::fill(grid.pixels, uint8_t{255});
  for (int64_t i = 0; i < count; ++i) {
    const Image enlarged =
        options.enlarge == 1
            ? pictures[static_cast<size_t>(i)]
            : resize(pictures[static_cast<size_t>(i)],
                     {.width = width, .height = height, .interpolation = Interpolation::kNearest});
    const int64_t left = options.gap + i % columns * (width + options.gap);
    const int64_t top = options.gap + i / columns * (height + options.gap);
    for (int64_t y = 0; y < height; ++y) {
      std::copy_n(enlarged.row(y), width * first.channels,
                  grid.row(top + y) + left * first.channels);
    }
  }
  return grid;
}

}  // namespace striate
