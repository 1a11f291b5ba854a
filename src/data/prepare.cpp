// What each transform does to an image on its way.
#include "data/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "striate/base/error.h"
#include "striate/image/color.h"

namespace striate {

namespace {

// Principal components of the colours of ImageNet's training images, in [0, 1] units: eigenvalues
// and eigenvectors (columns), as published with the networks of krizhevsky2012.
constexpr std::array<double, 3> kEigenvalues = {0.2175, 0.0188, 0.0045};
constexpr double kEigenvectors[3][3] = {
    {-0.5675, 0.7192, 0.4009}, {-0.5808, -0.0045, -0.8140}, {-0.5836, -0.6948, 0.4203}};

void pad(PlannedImage& image, int64_t left, int64_t top, const ImageSize& size) {
  image.crop({.x = -left, .y = -top, .width = size.width, .height = size.height});
}

Rectangle middle(const ImageSize& whole, int64_t size) {
  // torchvision rounds halves to even here.
  const auto start = [size](int64_t extent) {
    return static_cast<int64_t>(std::nearbyint(static_cast<double>(extent - size) / 2.0));
  };
  return {.x = start(whole.width), .y = start(whole.height), .width = size, .height = size};
}

void center_crop(PlannedImage& image, int64_t size) {
  const ImageSize own = {image.width(), image.height()};
  const ImageSize grown = {std::max(own.width, size), std::max(own.height, size)};
  pad(image, (grown.width - own.width) / 2, (grown.height - own.height) / 2, grown);
  image.crop(middle(grown, size));
}

void random_crop(PlannedImage& image, const transforms::RandomCrop& t, Random& random) {
  pad(image, t.padding, t.padding, {image.width() + 2 * t.padding, image.height() + 2 * t.padding});
  if (image.width() < t.size || image.height() < t.size) {
    throw ShapeError(fmt::format("random_crop of {} does not fit an image of {}x{}", t.size,
                                 image.width(), image.height()),
                     "resize first, or give random_crop a padding");
  }
  const int64_t y = random.below(image.height() - t.size + 1);
  const int64_t x = random.below(image.width() - t.size + 1);
  image.crop({.x = x, .y = y, .width = t.size, .height = t.size});
}

// Szegedy et al. 2015, section 6, in the form that torchvision gave it.
Rectangle random_part(const ImageSize& image, const transforms::RandomResizedCrop& t,
                      Random& random) {
  const auto area = static_cast<double>(image.width * image.height);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * random.uniform(t.scale[0], t.scale[1]);
    const double ratio = std::exp(random.uniform(std::log(t.ratio[0]), std::log(t.ratio[1])));
    const auto width = static_cast<int64_t>(std::nearbyint(std::sqrt(target * ratio)));
    const auto height = static_cast<int64_t>(std::nearbyint(std::sqrt(target / ratio)));
    if (width < 1 || height < 1 || width > image.width || height > image.height) continue;
    const int64_t y = random.below(image.height - height + 1);
    const int64_t x = random.below(image.width - width + 1);
    return {.x = x, .y = y, .width = width, .height = height};
  }
  // The middle, as close to the allowed ratios as it gets.
  const double own = static_cast<double>(image.width) / static_cast<double>(image.height);
  const double ratio = std::clamp(own, t.ratio[0], t.ratio[1]);
  const auto round = [](double v) { return std::max<int64_t>(1, std::llround(v)); };
  Rectangle part;
  part.width = own > ratio ? round(static_cast<double>(image.height) * ratio) : image.width;
  part.height = own < ratio ? round(static_cast<double>(image.width) / ratio) : image.height;
  part.x = (image.width - part.width) / 2;
  part.y = (image.height - part.height) / 2;
  return part;
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
    views.push_back(crop(source, middle({source.width, source.height}, size)));
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

// Carries out one transform after the other.
struct Views {
  PreparedImage& views;
  Random& random;

  template <class Change>
  void each_image(const Change& change) {
    for (PlannedImage& image : views.images) change(image);
  }

  template <class Change>
  void each_float(const Change& change) {
    for (const PlannedImage& image : views.images) views.floats.push_back(to_float(image.image()));
    views.images.clear();
    for (FloatImage& image : views.floats) change(image);
  }

  void operator()(const transforms::Channels& t) {
    each_image([&](PlannedImage& image) { image.set_channels(t.count); });
  }
  void operator()(const transforms::Resize& t) {
    each_image([&](PlannedImage& image) {
      const ImageSize size = t.square ? ImageSize{t.size, t.size}
                                      : shorter_side_size({image.width(), image.height()}, t.size);
      image.scale(size, t.interpolation);
    });
  }
  void operator()(const transforms::Pad& t) {
    each_image([&](PlannedImage& image) {
      pad(image, t.padding, t.padding,
          {image.width() + 2 * t.padding, image.height() + 2 * t.padding});
    });
  }
  void operator()(const transforms::CenterCrop& t) {
    each_image([&](PlannedImage& image) { center_crop(image, t.size); });
  }
  void operator()(const transforms::RandomCrop& t) {
    each_image([&](PlannedImage& image) { random_crop(image, t, random); });
  }
  void operator()(const transforms::RandomResizedCrop& t) {
    each_image([&](PlannedImage& image) {
      const Rectangle part = random_part({image.width(), image.height()}, t, random);
      image.scale_part(part, {t.size, t.size}, t.interpolation);
    });
  }
  void operator()(const transforms::RandomHorizontalFlip& t) {
    each_image([&](PlannedImage& image) {
      if (random.chance(t.p)) image.flip();
    });
  }
  void operator()(const transforms::ColorJitter& t) {
    each_image([&](PlannedImage& image) {
      image = PlannedImage(PendingImage(color_jitter(image.image(), t, random)));
    });
  }
  void operator()(const transforms::TenCrop& t) {
    std::vector<PlannedImage> crops;
    for (const PlannedImage& image : views.images) {
      for (Image& view : ten_crop(image.image(), t.size)) {
        crops.emplace_back(PendingImage(std::move(view)));
      }
    }
    views.images = std::move(crops);
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

// Every byte as a float in [0, 1], in as many channels, normalised.
ByteTable byte_table(int64_t channels, const transforms::Normalize* normalization) {
  Image bytes = make_image(256, 1, channels);
  for (size_t i = 0; i < bytes.pixels.size(); ++i) {
    bytes.pixels[i] = static_cast<uint8_t>(i / static_cast<size_t>(channels));
  }
  FloatImage floats = to_float(bytes);
  if (normalization != nullptr) normalize(floats, *normalization);
  ByteTable table{channels, std::vector<float>(floats.pixels.size())};
  for (size_t value = 0; value < 256; ++value) {
    for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
      table.values[256 * c + value] = floats.pixels[value * static_cast<size_t>(channels) + c];
    }
  }
  return table;
}

}  // namespace

ViewShape PreparedImage::shape(int64_t view) const {
  const auto at = static_cast<size_t>(view);
  if (floats.empty()) return {images[at].channels(), images[at].height(), images[at].width()};
  return {floats[at].channels, floats[at].height, floats[at].width};
}

void PreparedImage::write(int64_t view, float* out) const {
  const auto at = static_cast<size_t>(view);
  if (floats.empty()) return images[at].write(*table, out);
  std::ranges::copy(floats[at].pixels, out);
}

Preparation::Preparation(std::vector<Transform> transforms) : transforms_(std::move(transforms)) {
  const bool ends_with_normalize =
      !transforms_.empty() && std::holds_alternative<transforms::Normalize>(transforms_.back());
  if (!ends_with_normalize) return;
  normalization_ = std::get<transforms::Normalize>(transforms_.back());
  transforms_.pop_back();
}

const ByteTable& Preparation::table(int64_t channels) const {
  const auto at = static_cast<size_t>(channels);
  std::call_once(made_[at], [&] {
    tables_[at] = byte_table(channels, normalization_ ? &*normalization_ : nullptr);
  });
  return tables_[at];
}

PreparedImage Preparation::prepare(PendingImage image, Random& random) const {
  PreparedImage prepared;
  prepared.images.emplace_back(std::move(image));
  Views views{prepared, random};
  for (const Transform& transform : transforms_) std::visit(views, transform);
  if (prepared.floats.empty()) {
    prepared.table = &table(prepared.images.front().channels());
  } else if (normalization_) {
    views(*normalization_);
  }
  return prepared;
}

}  // namespace striate
