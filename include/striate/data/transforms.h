#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "striate/base/json.h"
#include "striate/base/random.h"
#include "striate/image/image.h"
#include "striate/image/resize.h"

namespace striate {

class Dataset;

/// The steps from a decoded image to a network's input, as data. Names, fields and results are
/// those of torchvision.transforms on Pillow images.
namespace transforms {

/// Grey (1) or RGB (3).
struct Channels {
  int64_t count = 3;
};
/// The shorter side to `size`, antialiased; with `square` both sides.
struct Resize {
  int64_t size = 256;
  bool square = false;
  Interpolation interpolation = Interpolation::kBilinear;
};
/// Zeros on every side.
struct Pad {
  int64_t padding = 0;
};
/// Images that are smaller get zeros around them.
struct CenterCrop {
  int64_t size = 224;
};
/// A random part, after zeros on every side (he2016, 4.2).
struct RandomCrop {
  int64_t size = 32;
  int64_t padding = 0;
};
/// A part of random area and aspect ratio, scaled (szegedy2015, 6). Large JPEGs: decisions/0007.
struct RandomResizedCrop {
  int64_t size = 224;
  std::array<double, 2> scale = {0.08, 1.0};
  std::array<double, 2> ratio = {3.0 / 4.0, 4.0 / 3.0};
  Interpolation interpolation = Interpolation::kBilinear;
};
struct RandomHorizontalFlip {
  double p = 0.5;
};
/// Factors in [1 - x, 1 + x], hue shifted by at most `hue` of the circle, in random order.
struct ColorJitter {
  double brightness = 0;
  double contrast = 0;
  double saturation = 0;
  double hue = 0;
};
/// Four corners and the centre, and their mirror images: ten views of one image.
struct TenCrop {
  int64_t size = 224;
};
/// Adds multiples of the principal components of ImageNet's colours; the factors are normal with
/// this standard deviation (krizhevsky2012, 4.1).
struct PcaJitter {
  double deviation = 0.1;
};
/// (x - mean) / std for each channel, x in [0, 1]. One number stands for every channel; none: to be
/// measured on the training data (`measure_normalization`).
struct Normalize {
  std::vector<double> mean = {};
  std::vector<double> std = {};
};
/// With probability p a random rectangle becomes noise (zhong2020).
struct RandomErasing {
  double p = 0.5;
  std::array<double, 2> scale = {0.02, 0.33};
  std::array<double, 2> ratio = {0.3, 3.3};
};

}  // namespace transforms

using Transform =
    std::variant<transforms::Channels, transforms::Resize, transforms::Pad, transforms::CenterCrop,
                 transforms::RandomCrop, transforms::RandomResizedCrop,
                 transforms::RandomHorizontalFlip, transforms::ColorJitter, transforms::TenCrop,
                 transforms::PcaJitter, transforms::Normalize, transforms::RandomErasing>;

/// A float image, channels interleaved.
struct FloatImage {
  int64_t width = 0;
  int64_t height = 0;
  int64_t channels = 0;
  std::vector<float> pixels;  // height * width * channels
};

/// A list of transforms, applied in order. Pixels become floats in [0, 1] at the first transform
/// that needs them so, or at the end.
class Preprocessing {
 public:
  Preprocessing() = default;
  /// @throws std::invalid_argument  a value that makes no sense, or a transform of 8-bit images
  /// after one of floats.
  explicit Preprocessing(std::vector<Transform> transforms);

  /// Reads `[{"resize": {"size": 256}}, …]`.
  /// @param where  the path of the list, for messages.
  /// @throws FormatError  an unknown transform or field (with the nearest), or a wrong value.
  static Preprocessing from_json(const Json& list, const std::string& where);
  Json to_json() const;

  /// The views of one image: one, or ten after TenCrop.
  /// @param random  what random transforms draw from.
  std::vector<FloatImage> apply(Image image, Random& random) const;
  int64_t views() const;
  const std::vector<Transform>& transforms() const { return transforms_; }

 private:
  std::vector<Transform> transforms_;
};

/// Whether a `normalize` has no numbers yet.
bool needs_measuring(const Preprocessing& preprocessing);
/// Gives it the mean and standard deviation of the data set's pixels as they reach it. Measures
/// about 10,000 samples, evenly spread.
Preprocessing measure_normalization(const Preprocessing& preprocessing, const Dataset& dataset);

/// How the images of well-known weights are prepared: "imagenet" (resize 256, crop 224),
/// "imagenet-half" (the same to [-1, 1]: published GoogLeNet weights), "imagenet-227" (crop 227),
/// "cifar10", "unit-32" (grey, padded to 32x32, in [0, 1]) …
/// @throws LookupError  no preprocessing has that name.
Preprocessing named_preprocessing(const std::string& name);

}  // namespace striate
