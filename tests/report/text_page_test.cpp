#include "striate/report/text_page.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

namespace striate {
namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(TextPage, ColoursEachTokenByItsValue) {
  const std::string page = text_page_html(
      "Cells", {{"quotes", "layer 0", {"a", "<", "b", "c", "\n"}, {1, -1, 0.5F, 0.5F, 0}}});
  EXPECT_TRUE(has(page,
                  "<span class=\"b8\">a</span><span class=\"r8\">&lt;</span>"
                  "<span class=\"b4\">bc</span>\n</div>"));
  EXPECT_TRUE(has(page, "<h2>quotes</h2>"));
  EXPECT_FALSE(has(page, "http"));
}

TEST(TextPage, ValuesOutsideAreBoundedAndNoNumberHasNoColour) {
  const std::string page =
      text_page_html("Cells", {{"t", "", {"a", "b", "c"}, {7, -9, std::nanf("")}}});
  EXPECT_TRUE(has(page, "<span class=\"b8\">a</span><span class=\"r8\">b</span>c</div>"));
}

TEST(TextPage, OneValueForEachToken) {
  EXPECT_THROW(text_page_html("Cells", {{"t", "", {"a", "b"}, {1}}}), std::invalid_argument);
}

}  // namespace
}  // namespace striate
