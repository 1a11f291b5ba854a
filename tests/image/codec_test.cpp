#include "striate/image/codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <stdexcept>

#include "reference.h"
#include "shared_folder.h"
#include "striate/image/resize.h"

namespace striate {
namespace {

// Libjpeg-turbo promises equal pixels for all its versions' accurate DCT; one level is for others.
constexpr int kJpegTolerance = 1;

TEST(Codec, DecodesEveryKindOfFileAsPillowDoes) {
  const Reference reference("pillow_codec");
  int greatest = 0;
  for (const Json& item : reference.cases()) {
    const std::filesystem::path path =
        Reference::folder() / "pillow_codec" / item["file"].get<std::string>();
    const int tolerance = path.extension() == ".jpg" ? kJpegTolerance : 0;
    const Image rgb = read_image(path);
    const Image grey = read_image(path, PixelFormat::kGrey);
    EXPECT_EQ(rgb.channels, 3);
    EXPECT_EQ(grey.channels, 1);
    EXPECT_EQ(read_image_size(path), (ImageSize{item["size"][0], item["size"][1]})) << path;
    const int rgb_difference = max_difference(rgb.pixels, reference.blob(item, "rgb"));
    const int grey_difference = max_difference(grey.pixels, reference.blob(item, "grey"));
    EXPECT_LE(rgb_difference, tolerance) << path;
    EXPECT_LE(grey_difference, tolerance) << path;
    greatest = std::max({greatest, rgb_difference, grey_difference});
  }
  RecordProperty("max_difference", greatest);
  EXPECT_GE(reference.cases().size(), 30U);
}

TEST(Codec, KeepsTheStoredChannelsAndTheirAlpha) {
  const Reference reference("pillow_codec");
  for (const Json& item : reference.cases()) {
    const std::filesystem::path path =
        Reference::folder() / "pillow_codec" / item["file"].get<std::string>();
    const Image image = read_image(path, PixelFormat::kAsStored);
    if (!item.contains("alpha")) {
      const std::string name = path.filename().string();
      const bool is_grey = name.starts_with("grey") || name.starts_with("bits");
      EXPECT_EQ(image.channels, is_grey ? 1 : 3) << path;
      continue;
    }
    ASSERT_EQ(image.channels, 4) << path;
    std::vector<uint8_t> alpha;
    for (size_t i = 3; i < image.pixels.size(); i += 4) alpha.push_back(image.pixels[i]);
    EXPECT_EQ(max_difference(alpha, reference.blob(item, "alpha")), 0) << path;
    EXPECT_EQ(max_difference(to_rgb(image).pixels, reference.blob(item, "rgb")), 0) << path;
  }
}

TEST(Codec, PngKeepsEveryPixel) {
  for (const int64_t channels : {1, 3, 4}) {
    const Image image = formula_image(67, 31, channels);
    const Image again = decode_image(encode_png(image), "memory", PixelFormat::kAsStored);
    EXPECT_EQ(again.channels, channels);
    EXPECT_EQ(again.pixels, image.pixels);
  }
}

TEST(Codec, JpegOfHighQualityComesCloseAndOfLowQualityIsSmaller) {
  Image image = make_image(64, 48, 3);
  for (int64_t y = 0; y < 48; ++y) {
    for (int64_t i = 0; i < 192; ++i) image.row(y)[i] = static_cast<uint8_t>(y + i);
  }
  const std::vector<uint8_t> fine = encode_jpeg(image, 100);
  EXPECT_LE(max_difference(decode_image(fine, "memory").pixels, image.pixels), 6);
  EXPECT_LT(encode_jpeg(image, 20).size(), fine.size());
  const Image grey = to_grey(image);
  const Image again = decode_image(encode_jpeg(grey, 100), "memory", PixelFormat::kAsStored);
  EXPECT_EQ(again.channels, 1);
  EXPECT_LE(max_difference(again.pixels, grey.pixels), 3);
}

TEST(Codec, EncodersRefuseWhatTheyCantHold) {
  EXPECT_THROW(encode_jpeg(formula_image(4, 4, 3), 0), std::invalid_argument);
  EXPECT_THROW(encode_jpeg(formula_image(4, 4, 3), 101), std::invalid_argument);
  EXPECT_THROW(encode_jpeg(formula_image(4, 4, 4), 90), std::invalid_argument);
  EXPECT_THROW(encode_jpeg(formula_image(70000, 1, 1), 90), std::invalid_argument);
  EXPECT_THROW(encode_png(Image{4, 4, 3, {1, 2, 3}}), std::invalid_argument);
}

// torchvision's CenterCrop rounds halves to even, as nearbyint does.
Image centre_crop(const Image& image, int64_t side) {
  const auto offset = [side](int64_t size) {
    return static_cast<int64_t>(std::nearbyint(static_cast<double>(size - side) / 2.0));
  };
  return crop(image, {offset(image.width), offset(image.height), side, side});
}

TEST(Photos, DecodeResizeAndCropAsPillowDoes) {
  const std::filesystem::path folder = shared_folder() / "data" / "photos";
  if (!std::filesystem::is_directory(folder)) {
    GTEST_SKIP() << "needs the photos: set STRIATE_SHARED to the folder that holds data/photos";
  }
  const Reference reference("pillow_photos");
  int greatest = 0;
  int equal = 0;
  for (const Json& item : reference.cases()) {
    const Image image = read_image(folder / item["file"].get<std::string>());
    ASSERT_EQ(image.width, item["size"][0].get<int64_t>());
    ASSERT_EQ(image.height, item["size"][1].get<int64_t>());
    std::vector<uint8_t> grid;
    for (int64_t y = 0; y < 16; ++y) {
      for (int64_t x = 0; x < 16; ++x) {
        const uint8_t* pixel = image.row(y * image.height / 16) + x * image.width / 16 * 3;
        grid.insert(grid.end(), pixel, pixel + 3);
      }
    }
    const ImageSize size = shorter_side_size({image.width, image.height}, 256);
    const Image cropped =
        centre_crop(resize(image, {.width = size.width, .height = size.height}), 224);
    std::vector<uint8_t> cropped_grid;
    for (int64_t y = 0; y < 224; y += 8) {
      for (int64_t x = 0; x < 224; x += 8) {
        cropped_grid.insert(cropped_grid.end(), cropped.row(y) + 3 * x, cropped.row(y) + 3 * x + 3);
      }
    }
    greatest = std::max({greatest, max_difference(grid, reference.blob(item, "decoded")),
                         max_difference(cropped_grid, reference.blob(item, "cropped"))});
    const auto sum = std::accumulate(cropped.pixels.begin(), cropped.pixels.end(), int64_t{0});
    EXPECT_NEAR(static_cast<double>(sum), item["cropped_sum"].get<double>(), 0.01 * 224 * 224 * 3);
    equal += checksum(image) == item["crc32"].get<uint32_t>() &&
             checksum(cropped) == item["cropped_crc32"].get<uint32_t>();
  }
  RecordProperty("max_difference", greatest);
  RecordProperty("bit_equal_photos", equal);
  EXPECT_LE(greatest, kJpegTolerance);
  EXPECT_EQ(reference.cases().size(), 42U);
}

}  // namespace
}  // namespace striate
