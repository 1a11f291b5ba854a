#include "striate/report/picture_page.h"

#include <gtest/gtest.h>

namespace striate {
namespace {

TEST(PicturePage, HasEachPictureWithItsLabel) {
  const Image grey{.width = 2, .height = 2, .channels = 1, .pixels = {0, 80, 160, 240}};
  const std::string page = picture_page_html("a <dog>", {{"a", grey}, {"<dog>", grey}});
  EXPECT_NE(page.find("<h1>a &lt;dog&gt;</h1>"), std::string::npos);
  EXPECT_NE(page.find("<figcaption>a</figcaption>"), std::string::npos);
  EXPECT_NE(page.find("<figcaption>&lt;dog&gt;</figcaption>"), std::string::npos);
  const size_t first = page.find("data:image/png;base64,");
  ASSERT_NE(first, std::string::npos);
  EXPECT_NE(page.find("data:image/png;base64,", first + 1), std::string::npos);
}

}  // namespace
}  // namespace striate
