#include "striate/report/look_page.h"

#include <gtest/gtest.h>

#include <string>

namespace striate {
namespace {

constexpr std::string_view kOpening = "<script id=\"report\" type=\"application/json\">";
constexpr std::string_view kClosing = "</script>";

size_t count_of(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

// What a browser takes for the report.
std::string report_text(const std::string& html) {
  const size_t begin = html.find(kOpening) + kOpening.size();
  return html.substr(begin, html.find(kClosing, begin) - begin);
}

TEST(LookPage, TheTemplateHasOnePlaceForAReport) {
  if (page_template().empty()) GTEST_SKIP() << "this build has no page";
  EXPECT_EQ(count_of(page_template(), "/*REPORT*/"), 1u);
  EXPECT_EQ(count_of(page_template(), kOpening), 1u);
  EXPECT_EQ(page_template().substr(0, 15), "<!DOCTYPE html>");
}

TEST(LookPage, ThePageNeedsNoOtherFile) {
  if (page_template().empty()) GTEST_SKIP() << "this build has no page";
  EXPECT_EQ(count_of(page_template(), " src=\"http"), 0u);
  EXPECT_EQ(count_of(page_template(), "<link rel=\"stylesheet\""), 0u);
  EXPECT_EQ(count_of(page_template(), "@import"), 0u);
}

TEST(LookPage, AReportComesBackAsItWas) {
  if (page_template().empty()) GTEST_SKIP() << "this build has no page";
  const Json report = {{"title", "</script><script>alert(1)</script> <!-- \" \\ /*REPORT*/ \u00e9"},
                       {"nodes", {{{"name", "a&b"}, {"shape", {1, 2}}}}}};
  const std::string html = look_page_html(report);
  const std::string text = report_text(html);
  EXPECT_EQ(count_of(text, "<"), 0u);
  EXPECT_EQ(Json::parse(text), report);
  EXPECT_EQ(count_of(html, kClosing), count_of(page_template(), kClosing));
}

TEST(LookPage, BytesThatAreNotTextDoNotStopIt) {
  if (page_template().empty()) GTEST_SKIP() << "this build has no page";
  const std::string html = look_page_html({{"title", "bad\xff"}});
  EXPECT_EQ(Json::parse(report_text(html)).at("title"), "bad\xEF\xBF\xBD");
}

TEST(LookPage, WithoutAPageTheErrorSaysWhatToInstall) {
  if (!page_template().empty()) GTEST_SKIP() << "this build has a page";
  try {
    look_page_html(Json::object());
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.hint().find("tools/setup.sh"), std::string::npos);
  }
}

}  // namespace
}  // namespace striate
