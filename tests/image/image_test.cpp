#include "striate/image/image.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "reference.h"

namespace striate {
namespace {

TEST(Image, MakeRefusesImpossibleSizes) {
  EXPECT_THROW(make_image(0, 5, 3), std::invalid_argument);
  EXPECT_THROW(make_image(5, -1, 3), std::invalid_argument);
  EXPECT_THROW(make_image(5, 5, 2), std::invalid_argument);
  EXPECT_THROW(make_image(int64_t{1} << 40, int64_t{1} << 40, 3), std::invalid_argument);
  EXPECT_EQ(make_image(3, 2, 4).pixels, std::vector<uint8_t>(24));
}

TEST(Image, CropTakesTheNamedPixels) {
  const Image image = formula_image(9, 7, 3);
  const Image part = crop(image, {.x = 2, .y = 3, .width = 5, .height = 4});
  ASSERT_EQ(part.width, 5);
  ASSERT_EQ(part.height, 4);
  for (int64_t y = 0; y < 4; ++y) {
    for (int64_t i = 0; i < 15; ++i) EXPECT_EQ(part.row(y)[i], image.row(y + 3)[i + 6]);
  }
}

TEST(Image, CropRefusesWhatIsNotInside) {
  const Image image = formula_image(9, 7, 1);
  const int64_t huge = INT64_MAX;
  for (const Rectangle& part :
       {Rectangle{-1, 0, 2, 2}, Rectangle{8, 0, 2, 2}, Rectangle{0, 6, 2, 2}, Rectangle{0, 0, 0, 1},
        Rectangle{huge, 0, 1, 1}, Rectangle{1, 1, huge, huge}}) {
    EXPECT_THROW(crop(image, part), std::invalid_argument);
  }
}

TEST(Image, FlippingExchangesLeftAndRight) {
  const Image image = formula_image(5, 2, 3);
  const Image flipped = flip_horizontally(image);
  for (int64_t x = 0; x < 5; ++x) {
    for (int64_t c = 0; c < 3; ++c) {
      EXPECT_EQ(flipped.row(1)[x * 3 + c], image.row(1)[(4 - x) * 3 + c]);
    }
  }
  EXPECT_EQ(flip_horizontally(flipped).pixels, image.pixels);
}

TEST(Image, RgbOfGreyRepeatsAndOfRgbaDropsAlpha) {
  const Image grey = to_rgb(Image{1, 1, 1, {7}});
  EXPECT_EQ(grey.pixels, (std::vector<uint8_t>{7, 7, 7}));
  const Image rgb = to_rgb(Image{1, 1, 4, {1, 2, 3, 4}});
  EXPECT_EQ(rgb.pixels, (std::vector<uint8_t>{1, 2, 3}));
}

}  // namespace
}  // namespace striate
