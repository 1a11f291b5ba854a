#include "striate/image/resize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>

#include "reference.h"

namespace striate {
namespace {

const std::map<std::string, Interpolation> kInterpolations = {
    {"nearest", Interpolation::kNearest}, {"bilinear", Interpolation::kBilinear},
    {"bicubic", Interpolation::kBicubic}, {"lanczos", Interpolation::kLanczos},
    {"box", Interpolation::kBox},
};

ResizeOptions options_of(const Json& item) {
  ResizeOptions options{.width = item["size"][0],
                        .height = item["size"][1],
                        .interpolation = kInterpolations.at(item["interpolation"])};
  const Json& box = item["box"];
  if (!box.is_null()) options.box = SourceBox{box[0], box[1], box[2], box[3]};
  return options;
}

TEST(Resize, EqualsPillowBitForBitOnOddSizesBoxesAndEveryFilter) {
  const Reference reference("pillow_synthetic");
  int count = 0;
  for (const Json& item : reference.cases()) {
    if (item["kind"] != "resize") continue;
    const Json& source = item["source"];
    const Image image = formula_image(source[0], source[1], source[2]);
    expect_equal_to_case(reference, item, resize(image, options_of(item)));
    ++count;
  }
  EXPECT_GT(count, 150);
}

TEST(Resize, LeavesAnImageOfThatSizeAlone) {
  const Image image = formula_image(13, 8, 3);
  EXPECT_EQ(resize(image, {.width = 13, .height = 8}).pixels, image.pixels);
}

TEST(Resize, KeepsAFlatColourFlat) {
  Image image = make_image(31, 17, 3);
  for (uint8_t& value : image.pixels) value = 201;
  for (const auto& [name, interpolation] : kInterpolations) {
    const Image result = resize(image, {.width = 12, .height = 50, .interpolation = interpolation});
    EXPECT_EQ(result.pixels, std::vector<uint8_t>(12 * 50 * 3, 201)) << name;
  }
}

TEST(Resize, DoesNotLetTransparentColoursBleed) {
  const Image image{2, 1, 4, {255, 0, 0, 0, 0, 0, 255, 255}};
  const Image result = resize(image, {.width = 1, .height = 1});
  EXPECT_EQ(result.pixels[0], 0);
  EXPECT_GE(result.pixels[2], 253);
}

TEST(Resize, RefusesImpossibleSizesAndBoxes) {
  const Image image = formula_image(13, 8, 3);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(resize(image, {.width = 0, .height = 8}), std::invalid_argument);
  EXPECT_THROW(resize(image, {.width = int64_t{1} << 40, .height = 8}), std::invalid_argument);
  EXPECT_THROW(resize(Image{}, {.width = 8, .height = 8}), std::invalid_argument);
  for (const SourceBox& box : {SourceBox{-0.5, 0, 5, 5}, SourceBox{0, 0, 13.5, 8},
                               SourceBox{4, 4, 4, 6}, SourceBox{0, nan, 5, 5}}) {
    EXPECT_THROW(resize(image, {.width = 8, .height = 8, .box = box}), std::invalid_argument);
  }
}

TEST(Resize, TakesBoxesThatAreHardlyWiderThanNothing) {
  const Image image = formula_image(13, 8, 3);
  const double edge = std::nextafter(13.0, 0.0);
  for (const auto& [name, interpolation] : kInterpolations) {
    for (const SourceBox& box : {SourceBox{edge, 0, 13, 8}, SourceBox{0, 0, 1e-300, 1e-300}}) {
      const Image result =
          resize(image, {.width = 5, .height = 5, .interpolation = interpolation, .box = box});
      EXPECT_EQ(result.pixels.size(), 75U) << name;
    }
  }
}

TEST(ShorterSideSize, RoundsTheLongerSideDown) {
  EXPECT_EQ(shorter_side_size({500, 375}, 256), (ImageSize{341, 256}));
  EXPECT_EQ(shorter_side_size({375, 500}, 256), (ImageSize{256, 341}));
  EXPECT_EQ(shorter_side_size({7, 7}, 3), (ImageSize{3, 3}));
  EXPECT_THROW(shorter_side_size({0, 7}, 3), std::invalid_argument);
  EXPECT_THROW(shorter_side_size({7, 7}, -3), std::invalid_argument);
}

}  // namespace
}  // namespace striate
