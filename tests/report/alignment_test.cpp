#include "striate/report/alignment.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace striate {
namespace {

Alignment small() {
  return {.title = "Ein <Hund>",
          .columns = {"a", "dog", "&"},
          .rows = {"Ein", "Hund"},
          .weights = {{0.75, 0.25, 0}, {0.1, 0.9, 0}}};
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t i = text.find(part); i != std::string::npos; i = text.find(part, i + 1)) ++found;
  return found;
}

TEST(Alignment, HasACellForEveryPairOfWords) {
  const std::string svg = alignment_svg(small());
  EXPECT_EQ(count(svg, "class=\"cell\""), 6);
  EXPECT_EQ(count(svg, "fill-opacity=\"0.750\""), 1);
  EXPECT_NE(svg.find("Hund → dog: 90.0 %"), std::string::npos);
  EXPECT_TRUE(svg.starts_with("<svg xmlns="));
  EXPECT_EQ(svg.find("http", 20), svg.find("href"));  // nothing from elsewhere
}

TEST(Alignment, EscapesItsTexts) {
  const std::string svg = alignment_svg(small());
  EXPECT_NE(svg.find("Ein &lt;Hund&gt;"), std::string::npos);
  EXPECT_NE(svg.find("&amp;"), std::string::npos);
  EXPECT_EQ(svg.find("<Hund>"), std::string::npos);
}

TEST(Alignment, RefusesWeightsThatDoNotFit) {
  Alignment alignment = small();
  alignment.weights.pop_back();
  EXPECT_THROW(alignment_svg(alignment), std::invalid_argument);
  alignment = small();
  alignment.weights[1].pop_back();
  EXPECT_THROW(alignment_svg(alignment), std::invalid_argument);
  EXPECT_THROW(alignment_svg({}), std::invalid_argument);
}

}  // namespace
}  // namespace striate
