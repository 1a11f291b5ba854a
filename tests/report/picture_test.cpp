#include "report/picture.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace striate {
namespace {

Image grey(int64_t width, int64_t height) {
  return {.width = width,
          .height = height,
          .channels = 1,
          .pixels = std::vector<uint8_t>(static_cast<size_t>(width * height), 128)};
}

std::string base64_of(const std::string& text) {
  return base64({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Picture, Base64EqualsTheStandardsExamples) {
  // RFC 4648, section 10.
  EXPECT_EQ(base64_of(""), "");
  EXPECT_EQ(base64_of("f"), "Zg==");
  EXPECT_EQ(base64_of("fo"), "Zm8=");
  EXPECT_EQ(base64_of("foo"), "Zm9v");
  EXPECT_EQ(base64_of("foob"), "Zm9vYg==");
  EXPECT_EQ(base64_of("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64_of("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64_of("\xFB\xFF\xBF"), "+/+/");
}

TEST(Picture, EnlargesSmallImagesByAWholeFactorWithSquarePixels) {
  const std::string markup = picture_markup(grey(28, 14), "a shoe");
  EXPECT_TRUE(has(markup, R"(class="pixelated")"));
  EXPECT_TRUE(has(markup, R"(width="112" height="56" alt="a shoe")"));
  // The first bytes of a PNG.
  EXPECT_TRUE(has(markup, "data:image/png;base64,iVBORw0KGgo"));
}

TEST(Picture, ShowsLargeImagesReduced) {
  const std::string markup = picture_markup(grey(1024, 512), "");
  EXPECT_FALSE(has(markup, "pixelated"));
  EXPECT_TRUE(has(markup, R"(width="128" height="64")"));
  EXPECT_TRUE(has(picture_markup(grey(5000, 1), ""), R"(width="128" height="1")"));
}

TEST(Picture, RefusesPixelsThatDoNotFitTheSize) {
  Image image = grey(4, 4);
  image.pixels.pop_back();
  EXPECT_THROW(picture_markup(image, ""), std::invalid_argument);
  EXPECT_THROW(picture_markup(Image{}, ""), std::invalid_argument);
  EXPECT_THROW(picture_markup({.width = int64_t{1} << 62, .height = 4, .channels = 1}, ""),
               std::invalid_argument);
}

}  // namespace
}  // namespace striate
