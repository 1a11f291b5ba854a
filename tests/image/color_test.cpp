#include "striate/image/color.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <stdexcept>

#include "reference.h"

namespace striate {
namespace {

// The corners, edges and some inner points of the RGB cube, 27 x 27.
Image cube_image() {
  constexpr std::array<uint8_t, 9> kLevels = {0, 1, 2, 51, 127, 128, 200, 254, 255};
  Image image = make_image(27, 27, 3);
  auto out = image.pixels.begin();
  for (const uint8_t red : kLevels) {
    for (const uint8_t green : kLevels) {
      for (const uint8_t blue : kLevels) {
        for (const uint8_t value : {red, green, blue}) *out++ = value;
      }
    }
  }
  return image;
}

Image image_named(const std::string& name) {
  if (name == "cube") return cube_image();
  return formula_image(61, 47, name == "grey" ? 1 : name == "rgba" ? 4 : 3);
}

Image adjusted(const std::string& kind, const Image& image, double factor) {
  if (kind == "to_grey") return to_grey(image);
  if (kind == "brightness") return adjust_brightness(image, factor);
  if (kind == "contrast") return adjust_contrast(image, factor);
  if (kind == "saturation") return adjust_saturation(image, factor);
  return adjust_hue(image, factor);
}

TEST(Color, EqualsPillowBitForBit) {
  const Reference reference("pillow_synthetic");
  int count = 0;
  for (const Json& item : reference.cases()) {
    if (item["kind"] == "resize") continue;
    expect_equal_to_case(reference, item,
                         adjusted(item["kind"], image_named(item["image"]), item["factor"]));
    ++count;
  }
  EXPECT_GT(count, 100);
}

TEST(Color, RefusesFactorsThatMeanNothing) {
  const Image image = formula_image(3, 3, 3);
  for (const double factor :
       {-0.1, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THROW(adjust_brightness(image, factor), std::invalid_argument);
    EXPECT_THROW(adjust_contrast(image, factor), std::invalid_argument);
    EXPECT_THROW(adjust_saturation(image, factor), std::invalid_argument);
  }
  for (const double turns : {-0.51, 0.51, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THROW(adjust_hue(image, turns), std::invalid_argument);
  }
}

TEST(Color, HueLeavesAlphaAlone) {
  const Image image = formula_image(9, 9, 4);
  const Image turned = adjust_hue(image, 0.3);
  for (size_t i = 3; i < image.pixels.size(); i += 4) {
    ASSERT_EQ(turned.pixels[i], image.pixels[i]);
  }
}

}  // namespace
}  // namespace striate
