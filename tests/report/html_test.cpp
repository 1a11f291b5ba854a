#include "report/html.h"

#include <gtest/gtest.h>

#include <limits>

namespace striate {
namespace {

TEST(Html, EscapesWhatCouldEndAnElementOrAnAttribute) {
  EXPECT_EQ(escape("<a href=\"x\" id='y'>&"), "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;");
}

TEST(Html, KeepsUtf8AndReplacesWhatIsNot) {
  EXPECT_EQ(escape("Zürich → 猫 🐈"), "Zürich → 猫 🐈");
  EXPECT_EQ(escape("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(escape("\xC3"), "\uFFFD");                      // cut
  EXPECT_EQ(escape("\xC0\xBC"), "\uFFFD\uFFFD");            // overlong "<"
  EXPECT_EQ(escape("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // half of a surrogate pair
  EXPECT_EQ(escape("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(escape("\xEF\xBF\xBF"), "\uFFFD\uFFFD\uFFFD");
}

TEST(Html, ReplacesControlCharacters) {
  EXPECT_EQ(escape(std::string_view("a\0b\x1B[31m\nc", 10)), "a\uFFFDb\uFFFD[31m c");
}

TEST(Html, CutsLongNamesByCharacters) {
  EXPECT_EQ(escape_name("äöüß", 4), "äöüß");
  EXPECT_EQ(escape_name("äöüß<", 4), "äöüß…");
  EXPECT_EQ(escape_name("<<<", 2), "&lt;&lt;…");
  EXPECT_EQ(character_count("äö→"), 3);
}

TEST(Html, WritesNumbersForReaders) {
  EXPECT_EQ(percent_text(0.973, 1), "97.3 %");
  EXPECT_EQ(number_text(0.123456, 4), "0.1235");
  EXPECT_EQ(duration_text(4.2), "4.2 s");
  EXPECT_EQ(duration_text(59.96), "1 min 00 s");
  EXPECT_EQ(duration_text(185), "3 min 05 s");
  EXPECT_EQ(duration_text(3720), "1 h 02 min");
}

TEST(Html, WritesADashForWhatIsNotANumber) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(percent_text(nan, 1), "–");
  EXPECT_EQ(number_text(nan, 4), "–");
  EXPECT_EQ(duration_text(nan), "–");
  EXPECT_EQ(duration_text(-1), "–");
}

}  // namespace
}  // namespace striate
