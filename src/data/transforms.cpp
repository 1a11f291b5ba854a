#include "striate/data/transforms.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "striate/base/error.h"
#include "striate/base/overloaded.h"
#include "striate/image/color.h"

namespace striate {

namespace {

// Principal components of the colours of ImageNet's training images, in [0, 1] units: eigenvalues
// and eigenvectors (columns), as published with the networks of krizhevsky2012.
constexpr std::array<double, 3> kEigenvalues = {0.2175, 0.0188, 0.0045};
constexpr double kEigenvectors[3][3] = {
    {-0.5675, 0.7192, 0.4009}, {-0.5808, -0.0045, -0.8140}, {-0.5836, -0.6948, 0.4203}};

Image pad(const Image& image, int64_t left, int64_t top, const ImageSize& size) {
  Image padded = make_image(size.width, size.height, image.channels);
  for (int64_t y = 0; y < image.height; ++y) {
    std::copy_n(image.row(y), image.width * image.channels,
                padded.row(y + top) + left * image.channels);
  }
  return padded;
}

Image center_crop(Image image, int64_t size) {
  if (image.width < size || image.height < size) {
    const ImageSize grown = {std::max(image.width, size), std::max(image.height, size)};
    image = pad(image, (grown.width - image.width) / 2, (grown.height - image.height) / 2, grown);
  }
  // torchvision rounds halves to even here.
  const auto start = [](int64_t extent, int64_t part) {
    return static_cast<int64_t>(std::nearbyint(static_cast<double>(extent - part) / 2.0));
  };
  return crop(image, {.x = start(image.width, size),
                      .y = start(image.height, size),
                      .width = size,
                      .height = size});
}

Image random_crop(Image image, const transforms::RandomCrop& t, Random& random) {
  if (t.padding > 0) {
    image = pad(image, t.padding, t.padding,
                {image.width + 2 * t.padding, image.height + 2 * t.padding});
  }
  if (image.width < t.size || image.height < t.size) {
    throw ShapeError(fmt::format("random_crop of {} does not fit an image of {}x{}", t.size,
                                 image.width, image.height),
                     "resize first, or give random_crop a padding");
  }
  const int64_t y = random.below(image.height - t.size + 1);
  const int64_t x = random.below(image.width - t.size + 1);
  return crop(image, {.x = x, .y = y, .width = t.size, .height = t.size});
}

// Szegedy et al. 2015, section 6, in the form that torchvision gave it.
Image random_resized_crop(const Image& image, const transforms::RandomResizedCrop& t,
                          Random& random) {
  const auto area = static_cast<double>(image.width * image.height);
  Rectangle part;
  for (int attempt = 0; attempt < 10 && part.width == 0; ++attempt) {
    const double target = area * random.uniform(t.scale[0], t.scale[1]);
    const double ratio = std::exp(random.uniform(std::log(t.ratio[0]), std::log(t.ratio[1])));
    const auto width = static_cast<int64_t>(std::nearbyint(std::sqrt(target * ratio)));
    const auto height = static_cast<int64_t>(std::nearbyint(std::sqrt(target / ratio)));
    if (width < 1 || height < 1 || width > image.width || height > image.height) continue;
    const int64_t y = random.below(image.height - height + 1);
    const int64_t x = random.below(image.width - width + 1);
    part = {.x = x, .y = y, .width = width, .height = height};
  }
  if (part.width == 0) {  // the middle, as close to the allowed ratios as it gets
    const double own = static_cast<double>(image.width) / static_cast<double>(image.height);
    const double ratio = std::clamp(own, t.ratio[0], t.ratio[1]);
    const auto round = [](double v) { return std::max<int64_t>(1, std::llround(v)); };
    part.width = own > ratio ? round(static_cast<double>(image.height) * ratio) : image.width;
    part.height = own < ratio ? round(static_cast<double>(image.width) / ratio) : image.height;
    part.x = (image.width - part.width) / 2;
    part.y = (image.height - part.height) / 2;
  }
  return resize(crop(image, part),
                {.width = t.size, .height = t.size, .interpolation = t.interpolation});
}

Image color_jitter(Image image, const transforms::ColorJitter& t, Random& random) {
  const auto factor = [&](double x) { return random.uniform(std::max(0.0, 1 - x), 1 + x); };
  for (const int64_t change : random.permutation(4)) {
    if (change == 0 && t.brightness > 0) image = adjust_brightness(image, factor(t.brightness));
    if (change == 1 && t.contrast > 0) image = adjust_contrast(image, factor(t.contrast));
    if (change == 2 && t.saturation > 0) image = adjust_saturation(image, factor(t.saturation));
    if (change == 3 && t.hue > 0) image = adjust_hue(image, random.uniform(-t.hue, t.hue));
  }
  return image;
}

std::vector<Image> ten_crop(const Image& image, int64_t size) {
  if (image.width < size || image.height < size) {
    throw ShapeError(fmt::format("ten_crop of {} does not fit an image of {}x{}", size, image.width,
                                 image.height));
  }
  const int64_t right = image.width - size;
  const int64_t bottom = image.height - size;
  std::vector<Image> views;
  for (const Image& source : {image, flip_horizontally(image)}) {
    for (const auto& [x, y] :
         {std::pair<int64_t, int64_t>{0, 0}, {right, 0}, {0, bottom}, {right, bottom}}) {
      views.push_back(crop(source, {.x = x, .y = y, .width = size, .height = size}));
    }
    views.push_back(center_crop(source, size));
  }
  return views;
}

FloatImage to_float(const Image& image) {
  FloatImage result{.width = image.width, .height = image.height, .channels = image.channels};
  result.pixels.resize(image.pixels.size());
  std::ranges::transform(image.pixels, result.pixels.begin(),
                         [](uint8_t value) { return static_cast<float>(value) / 255.0F; });
  return result;
}

void normalize(FloatImage& image, const transforms::Normalize& t) {
  const auto channels = static_cast<size_t>(image.channels);
  std::vector<float> mean(channels);
  std::vector<float> std(channels);
  for (size_t c = 0; c < channels; ++c) {
    const auto pick = [&](const std::vector<double>& values) {
      if (values.size() != 1 && values.size() != channels) {
        throw ShapeError(
            fmt::format("normalize has {} values, the image {} channels", values.size(), channels));
      }
      return static_cast<float>(values.size() == 1 ? values[0] : values[c]);
    };
    mean[c] = pick(t.mean);
    std[c] = pick(t.std);
  }
  for (size_t i = 0; i < image.pixels.size(); i += channels) {
    for (size_t c = 0; c < channels; ++c) {
      image.pixels[i + c] = (image.pixels[i + c] - mean[c]) / std[c];
    }
  }
}

// Krizhevsky et al. 2012, section 4.1: [p1 p2 p3] [α1λ1 α2λ2 α3λ3]ᵀ is added to every pixel.
void pca_jitter(FloatImage& image, const transforms::PcaJitter& t, Random& random) {
  if (image.channels != 3) throw ShapeError("pca_jitter needs RGB images");
  std::array<double, 3> shift = {0, 0, 0};
  for (size_t component = 0; component < 3; ++component) {
    const double amount = t.deviation * random.normal() * kEigenvalues[component];
    for (size_t c = 0; c < 3; ++c) shift[c] += kEigenvectors[c][component] * amount;
  }
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] += static_cast<float>(shift[i % 3]);
  }
}

// Zhong et al. 2020, algorithm 1.
void random_erasing(FloatImage& image, const transforms::RandomErasing& t, Random& random) {
  if (!random.chance(t.p)) return;
  const auto area = static_cast<double>(image.width * image.height);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * random.uniform(t.scale[0], t.scale[1]);
    const double ratio = std::exp(random.uniform(std::log(t.ratio[0]), std::log(t.ratio[1])));
    const int64_t height = std::llround(std::sqrt(target * ratio));
    const int64_t width = std::llround(std::sqrt(target / ratio));
    if (width < 1 || height < 1 || width >= image.width || height >= image.height) continue;
    const int64_t top = random.below(image.height - height + 1);
    const int64_t left = random.below(image.width - width + 1);
    for (int64_t y = top; y < top + height; ++y) {
      for (int64_t i = left * image.channels; i < (left + width) * image.channels; ++i) {
        image.pixels[static_cast<size_t>(y * image.width * image.channels + i)] =
            static_cast<float>(random.normal());
      }
    }
    return;
  }
}

// The views of one image on their way: 8-bit first, floats from the first transform that needs it.
struct Views {
  std::vector<Image> images;
  std::vector<FloatImage> floats;
  Random& random;

  template <class Change>
  void each_image(const Change& change) {
    for (Image& image : images) image = change(std::move(image));
  }

  template <class Change>
  void each_float(const Change& change) {
    make_floats();
    for (FloatImage& image : floats) change(image);
  }

  void make_floats() {
    for (const Image& image : images) floats.push_back(to_float(image));
    images.clear();
  }

  void operator()(const transforms::Channels& t) {
    each_image([&](Image image) { return t.count == 1 ? to_grey(image) : to_rgb(image); });
  }
  void operator()(const transforms::Resize& t) {
    each_image([&](Image image) {
      const ImageSize size = t.square ? ImageSize{t.size, t.size}
                                      : shorter_side_size({image.width, image.height}, t.size);
      return resize(image,
                    {.width = size.width, .height = size.height, .interpolation = t.interpolation});
    });
  }
  void operator()(const transforms::Pad& t) {
    each_image([&](Image image) {
      return pad(image, t.padding, t.padding,
                 {image.width + 2 * t.padding, image.height + 2 * t.padding});
    });
  }
  void operator()(const transforms::CenterCrop& t) {
    each_image([&](Image image) { return center_crop(std::move(image), t.size); });
  }
  void operator()(const transforms::RandomCrop& t) {
    each_image([&](Image image) { return random_crop(std::move(image), t, random); });
  }
  void operator()(const transforms::RandomResizedCrop& t) {
    each_image([&](Image image) { return random_resized_crop(image, t, random); });
  }
  void operator()(const transforms::RandomHorizontalFlip& t) {
    each_image([&](Image image) { return random.chance(t.p) ? flip_horizontally(image) : image; });
  }
  void operator()(const transforms::ColorJitter& t) {
    each_image([&](Image image) { return color_jitter(std::move(image), t, random); });
  }
  void operator()(const transforms::TenCrop& t) {
    std::vector<Image> views;
    for (const Image& image : images) {
      for (Image& view : ten_crop(image, t.size)) views.push_back(std::move(view));
    }
    images = std::move(views);
  }
  void operator()(const transforms::PcaJitter& t) {
    each_float([&](FloatImage& image) { pca_jitter(image, t, random); });
  }
  void operator()(const transforms::Normalize& t) {
    each_float([&](FloatImage& image) { normalize(image, t); });
  }
  void operator()(const transforms::RandomErasing& t) {
    each_float([&](FloatImage& image) { random_erasing(image, t, random); });
  }
};

bool needs_floats(const Transform& transform) {
  return std::holds_alternative<transforms::PcaJitter>(transform) ||
         std::holds_alternative<transforms::Normalize>(transform) ||
         std::holds_alternative<transforms::RandomErasing>(transform);
}

void require(bool holds, const char* problem) {
  if (!holds) throw std::invalid_argument(problem);
}

// Bounded, so that sides computed from areas and ratios are whole numbers of 64 bits.
void check_range(const std::array<double, 2>& range, const char* problem) {
  require(range[0] >= 1e-6 && range[0] <= range[1] && range[1] <= 1e6, problem);
}

void check(const Transform& transform) {
  constexpr int64_t kMost = 1 << 14;
  const auto size = [](int64_t n) { require(n >= 1 && n <= kMost, "size must be 1 to 16384"); };
  const auto probability = [](double p) { require(p >= 0 && p <= 1, "p must be in [0, 1]"); };
  const auto padding = [](int64_t n) {
    require(n >= 0 && n <= kMost, "padding must be 0 to 16384");
  };
  std::visit(overloaded{
                 [](const transforms::Channels& t) {
                   require(t.count == 1 || t.count == 3, "channels must be 1 or 3");
                 },
                 [&](const transforms::Resize& t) { size(t.size); },
                 [&](const transforms::Pad& t) { padding(t.padding); },
                 [&](const transforms::CenterCrop& t) { size(t.size); },
                 [&](const transforms::RandomCrop& t) {
                   size(t.size);
                   padding(t.padding);
                 },
                 [&](const transforms::RandomResizedCrop& t) {
                   size(t.size);
                   check_range(t.scale, "scale must be two rising numbers in [1e-6, 1e6]");
                   check_range(t.ratio, "ratio must be two rising numbers in [1e-6, 1e6]");
                 },
                 [&](const transforms::RandomHorizontalFlip& t) { probability(t.p); },
                 [](const transforms::ColorJitter& t) {
                   const auto amount = [](double x) { return x >= 0 && x <= 1000; };
                   require(amount(t.brightness) && amount(t.contrast) && amount(t.saturation) &&
                               t.hue >= 0 && t.hue <= 0.5,
                           "color_jitter needs values from 0 to 1000, and a hue of at most 0.5");
                 },
                 [&](const transforms::TenCrop& t) { size(t.size); },
                 [](const transforms::PcaJitter& t) {
                   require(t.deviation >= 0, "deviation must be at least 0");
                 },
                 [](const transforms::Normalize& t) {
                   require(t.mean.empty() == t.std.empty(),
                           "normalize needs both mean and std, or none");
                   require(std::ranges::all_of(t.std, [](double s) { return s > 0; }),
                           "std must be above 0");
                 },
                 [&](const transforms::RandomErasing& t) {
                   probability(t.p);
                   check_range(t.scale, "scale must be two rising numbers in [1e-6, 1e6]");
                   check_range(t.ratio, "ratio must be two rising numbers in [1e-6, 1e6]");
                 },
             },
             transform);
}

}  // namespace

Preprocessing::Preprocessing(std::vector<Transform> transforms)
    : transforms_(std::move(transforms)) {
  bool floats = false;
  for (const Transform& transform : transforms_) {
    check(transform);
    require(!floats || needs_floats(transform),
            "normalize, pca_jitter and random_erasing come after all other transforms");
    floats = floats || needs_floats(transform);
  }
  require(views() <= 10, "there can be only one ten_crop");
}

std::vector<FloatImage> Preprocessing::apply(Image image, Random& random) const {
  Views views{.images = {}, .floats = {}, .random = random};
  views.images.push_back(std::move(image));
  for (const Transform& transform : transforms_) std::visit(views, transform);
  views.make_floats();
  return std::move(views.floats);
}

int64_t Preprocessing::views() const {
  const auto crops = std::ranges::count_if(transforms_, [](const Transform& transform) {
    return std::holds_alternative<transforms::TenCrop>(transform);
  });
  return crops == 0 ? 1 : 10 * crops;
}

}  // namespace striate
