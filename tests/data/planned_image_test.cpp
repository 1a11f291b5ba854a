// What is put down and done in one pass must be what the steps give one by one.
#include "data/planned_image.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/made_data.h"
#include "data/prepare.h"
#include "striate/base/random.h"
#include "striate/image/codec.h"
#include "striate/image/resize.h"

namespace striate {
namespace {

Image noise(int64_t width, int64_t height, int64_t channels) {
  Image image = make_image(width, height, channels);
  Random random({static_cast<uint64_t>(width * height)});
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(random.below(256));
  return image;
}

// A part of an image, black where that is outside.
Image cut(const Image& image, const Rectangle& part) {
  Image result = make_image(part.width, part.height, image.channels);
  for (int64_t y = 0; y < part.height; ++y) {
    for (int64_t x = 0; x < part.width; ++x) {
      const int64_t from_x = part.x + x;
      const int64_t from_y = part.y + y;
      if (from_x < 0 || from_y < 0 || from_x >= image.width || from_y >= image.height) continue;
      for (int64_t c = 0; c < image.channels; ++c) {
        result.row(y)[x * image.channels + c] = image.row(from_y)[from_x * image.channels + c];
      }
    }
  }
  return result;
}

// The same random step, put down and carried out.
void take_a_step(Random& random, PlannedImage& planned, Image& image, std::string& text) {
  switch (random.below(6)) {
    case 0: {
      const Rectangle part{.x = random.below(2 * image.width) - image.width,
                           .y = random.below(2 * image.height) - image.height,
                           .width = 1 + random.below(40),
                           .height = 1 + random.below(40)};
      planned.crop(part);
      image = cut(image, part);
      text += " cut";
      return;
    }
    case 1:
    case 2: {
      Rectangle part{.width = 1 + random.below(image.width),
                     .height = 1 + random.below(image.height)};
      part.x = random.below(image.width - part.width + 1);
      part.y = random.below(image.height - part.height + 1);
      planned.crop(part);
      image = crop(image, part);
      text += " crop";
      return;
    }
    case 3:
      planned.flip();
      image = flip_horizontally(image);
      text += " flip";
      return;
    case 4: {
      const ImageSize size = {1 + random.below(50), 1 + random.below(50)};
      const auto interpolation = static_cast<Interpolation>(random.below(5));
      planned.scale(size, interpolation);
      image = resize(image,
                     {.width = size.width, .height = size.height, .interpolation = interpolation});
      text += " scale";
      return;
    }
    default:
      if (random.chance(0.7)) return;
      planned.set_channels(image.channels == 1 ? 3 : 1);
      image = image.channels == 1 ? to_rgb(image) : to_grey(image);
      text += " channels";
  }
}

// Another float for each byte of each channel.
ByteTable distinct_table(int64_t channels) {
  ByteTable table{channels, {}};
  for (int64_t i = 0; i < 256 * channels; ++i) table.values.push_back(static_cast<float>(i) - 99);
  return table;
}

void expect_planned(const PlannedImage& planned, const Image& image, const std::string& text) {
  ASSERT_EQ(planned.width(), image.width) << text;
  ASSERT_EQ(planned.height(), image.height) << text;
  ASSERT_EQ(planned.channels(), image.channels) << text;
  ASSERT_EQ(planned.image().pixels, image.pixels) << text;
  const ByteTable table = distinct_table(image.channels);
  std::vector<float> expected;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    const size_t channel = i % static_cast<size_t>(image.channels);
    expected.push_back(table.values[256 * channel + image.pixels[i]]);
  }
  std::vector<float> written(image.pixels.size());
  planned.write(table, written.data());
  ASSERT_EQ(written, expected) << text;
}

void try_steps(const PendingImage& source, const Image& whole, uint64_t seed) {
  Random random({seed});
  PlannedImage planned(source);
  Image image = whole;
  std::string text = "seed " + std::to_string(seed) + ":";
  const int64_t steps = random.below(6);
  for (int64_t i = 0; i < steps; ++i) take_a_step(random, planned, image, text);
  expect_planned(planned, image, text);
}

TEST(PlannedImage, IsTheStepsOneByOneForAnImageInMemory) {
  const Image images[] = {noise(37, 29, 1), noise(31, 40, 3), noise(23, 19, 4)};
  for (uint64_t seed = 0; seed < 900; ++seed) {
    const Image& image = images[seed % 3];
    try_steps(image, image, seed);
    if (HasFatalFailure()) return;
  }
}

TEST(PlannedImage, IsTheStepsOneByOneForFilesAndMemoryOfOthers) {
  const Image image = noise(61, 45, 3);
  const std::vector<uint8_t> png = encode_png(image);
  const std::vector<uint8_t> jpeg = encode_jpeg(image, 90);
  const Image decoded = decode_image(jpeg, "made");
  const ImageView view{.pixels = image.pixels.data(), .width = 61, .height = 45, .channels = 3};
  for (uint64_t seed = 0; seed < 300; ++seed) {
    try_steps(PendingImage(png, "made", PixelFormat::kRgb), image, seed);
    try_steps(PendingImage(jpeg, "made", PixelFormat::kRgb), decoded, seed);
    try_steps(PendingImage(jpeg, "made", PixelFormat::kGrey), to_grey(decoded), seed);
    try_steps(view, image, seed);
    if (HasFatalFailure()) return;
  }
}

TEST(PlannedImage, APartBelowTwiceItsTargetIsScaledExactly) {
  const std::vector<uint8_t> jpeg = encode_jpeg(noise(90, 70, 3), 90);
  const Image decoded = decode_image(jpeg, "made");
  for (const Rectangle& part :
       {Rectangle{7, 9, 63, 60}, Rectangle{0, 0, 90, 31}, Rectangle{3, 4, 10, 12}}) {
    PlannedImage planned(PendingImage(jpeg, "made", PixelFormat::kRgb));
    planned.scale_part(part, {32, 32}, Interpolation::kBilinear);
    expect_planned(planned, resize(crop(decoded, part), {.width = 32, .height = 32}), "part");
  }
}

// Waves of at least 40 pixels, which every scale keeps.
Image smooth_image(int64_t width, int64_t height) {
  Image image = make_image(width, height, 3);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const double wave =
          std::sin(static_cast<double>(x) / 9) + std::cos(static_cast<double>(y) / 7);
      for (int64_t c = 0; c < 3; ++c) {
        image.row(y)[3 * x + c] = static_cast<uint8_t>(128 + 40 * wave + static_cast<double>(c));
      }
    }
  }
  return image;
}

TEST(PlannedImage, APartOfTwiceItsTargetOrMoreIsDecodedSmallerAndNearlyTheSame) {
  constexpr int kTolerance = 8;  // of 160 levels: a shift by one pixel of the source makes 12 to 18
  const std::vector<uint8_t> jpeg = encode_jpeg(smooth_image(405, 303), 95);
  const Image decoded = decode_image(jpeg, "made");
  for (const int64_t size : {20, 36, 75, 140}) {
    for (const Rectangle& part :
         {Rectangle{0, 0, 405, 303}, Rectangle{51, 3, 299, 300}, Rectangle{77, 1, 290, 289}}) {
      PlannedImage planned(PendingImage(jpeg, "made", PixelFormat::kRgb));
      planned.scale_part(part, {size, size}, Interpolation::kBilinear);
      const Image result = planned.image();
      const Image exact = resize(crop(decoded, part), {.width = size, .height = size});
      int greatest = 0;
      for (size_t i = 0; i < exact.pixels.size(); ++i) {
        greatest = std::max(greatest, std::abs(result.pixels[i] - exact.pixels[i]));
      }
      EXPECT_LE(greatest, kTolerance) << size << " from " << part.width << "x" << part.height;
      EXPECT_NE(result.pixels, exact.pixels) << "it was not decoded smaller";
    }
  }
}

TEST(PlannedImage, ADamagedFileIsAnErrorWhenItIsRead) {
  std::vector<uint8_t> jpeg = encode_jpeg(noise(64, 64, 3), 90);
  jpeg.resize(jpeg.size() / 2);
  const PlannedImage planned(PendingImage(jpeg, "cut.jpg", PixelFormat::kRgb));
  const Problem problem = problem_of<FormatError>([&] { planned.image(); });
  EXPECT_TRUE(has(problem.message, "cut.jpg"));
}

TEST(Preparation, NormalisesBitForBitAsFloatsOneByOne) {
  const transforms::Normalize normalize{.mean = {0.485, 0.456, 0.406},
                                        .std = {0.229, 0.224, 0.225}};
  Image image = make_image(256, 1, 3);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i / 3);
  Random random({1});
  const FloatImage result = Preprocessing({normalize}).apply(image, random).at(0);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    const float value = static_cast<float>(image.pixels[i]) / 255.0F;
    const auto mean = static_cast<float>(normalize.mean[i % 3]);
    const auto std = static_cast<float>(normalize.std[i % 3]);
    ASSERT_EQ(result.pixels[i], (value - mean) / std) << i;
  }
}

TEST(Preparation, ANormalizeOfOtherChannelsIsAnErrorEveryTime) {
  const Preparation preparation({transforms::Normalize{.mean = {0, 0, 0}, .std = {1, 1, 1}}});
  Random random({1});
  for (int i = 0; i < 2; ++i) {
    EXPECT_THROW(preparation.prepare(make_image(2, 2, 1), random), ShapeError);
  }
  EXPECT_EQ(preparation.prepare(make_image(2, 2, 3), random).views(), 1);
}

}  // namespace
}  // namespace striate
