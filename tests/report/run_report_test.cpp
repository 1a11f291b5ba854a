#include "striate/report/run_report.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace striate {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();

int64_t count(const std::string& text, const std::string& part) {
  int64_t found = 0;
  for (size_t i = text.find(part); i != std::string::npos; i = text.find(part, i + 1)) ++found;
  return found;
}

bool has(const std::string& text, const std::string& part) {
  return count(text, part) > 0;
}

Image small_image() {
  return {.width = 2, .height = 2, .channels = 1, .pixels = {0, 255, 255, 0}};
}

// `classes` classes of 10 images each, of which one is taken for the next class.
RunReport example(int64_t classes) {
  RunReport report{.title = "A run", .facts = {{"Model", "lenet5"}, {"Seed", "1"}}};
  for (int64_t epoch = 1; epoch <= 3; ++epoch) {
    const auto e = static_cast<double>(epoch);
    report.epochs.push_back({epoch, 0.1, 1 / e, 1 - 0.5 / e, 1.1 / e, 1 - 0.6 / e, 20});
  }
  report.evaluated_on = "a test split";
  const auto size = static_cast<size_t>(classes);
  report.confusion.assign(size, std::vector<int64_t>(size, 0));
  for (size_t i = 0; i < size; ++i) {
    report.class_names.push_back("class" + std::to_string(i));
    report.confusion[i][i] = 9;
    report.confusion[i][(i + 1) % size] = 1;
  }
  report.mistakes = {{small_image(), "cat", "dog", 0.5}, {small_image(), "dog", "cat", 0.973}};
  return report;
}

TEST(RunReport, LeadsWithAccuracyAndError) {
  const std::string html = run_report_html(example(10));
  EXPECT_TRUE(has(html, "<span class=\"value\">90.00 %</span>"));
  EXPECT_TRUE(has(html, "<span class=\"value\">10.00 %</span>"));
  EXPECT_TRUE(has(html, "10 of 100 images"));
  EXPECT_TRUE(has(html, "epoch 3 of 3"));
  EXPECT_TRUE(has(html, "1 min 00 s"));
}

TEST(RunReport, HasOneRowForEachFactEpochAndClass) {
  const std::string html = run_report_html(example(10));
  // The headings of the log, the matrix and the scores make three more.
  EXPECT_EQ(count(html, "<tr>"), 2 + (3 + 1) + (10 + 1) + (10 + 1));
  EXPECT_EQ(count(html, "<td class=\"hit"), 10);
  EXPECT_EQ(count(html, "<td class=\"miss"), 10);
  EXPECT_EQ(count(html, "<td class=\"none"), 80);
  EXPECT_EQ(count(html, "<svg class=\"plot\""), 2);
}

TEST(RunReport, ShowsTablesOfWhatWasEvaluated) {
  RunReport report = example(2);
  report.tables = {{.caption = "Errors", .headings = {"error", "count"}, .rows = {{"a<b", "31"}}}};
  const std::string html = run_report_html(report);
  EXPECT_TRUE(has(html, "<caption>Errors</caption>"));
  EXPECT_TRUE(has(html, "<th scope=\"col\">count</th>"));
  EXPECT_TRUE(has(html, "<th scope=\"row\">a&lt;b</th><td>31</td>"));
}

TEST(RunReport, ListsPairsInsteadOfALargeMatrix) {
  EXPECT_TRUE(has(run_report_html(example(40)), "<table class=\"matrix"));
  const std::string html = run_report_html(example(1000));
  EXPECT_FALSE(has(html, "<table class=\"matrix"));
  EXPECT_TRUE(has(html, "<table class=\"pairs\">"));
  EXPECT_TRUE(has(html, "All 1,000 classes"));
  EXPECT_LT(html.size(), 400'000u);
}

TEST(RunReport, ShowsTheMostConfidentMistakeFirst) {
  const std::string html = run_report_html(example(10));
  EXPECT_EQ(count(html, "<img"), 2);
  const size_t sure = html.find("dog → cat, <span class=\"sure\">97.3 %</span>");
  const size_t unsure = html.find("cat → dog, <span class=\"sure\">50.0 %</span>");
  ASSERT_NE(sure, std::string::npos);
  ASSERT_NE(unsure, std::string::npos);
  EXPECT_LT(sure, unsure);
}

TEST(RunReport, EscapesEveryText) {
  const std::string bad = "\"'></title></style><script>alert(1)</script>";
  RunReport report = example(2);
  report.title = report.evaluated_on = bad;
  report.facts = {{bad, bad}};
  report.class_names = {bad, bad};
  report.mistakes[0].truth = report.mistakes[0].predicted = bad;
  const std::string html = run_report_html(report);
  EXPECT_FALSE(has(html, "<script"));
  EXPECT_FALSE(has(html, "'>"));
  EXPECT_EQ(count(html, "</title>"), count(html, "<title>"));
  EXPECT_EQ(count(html, "</style>"), 1);
  EXPECT_TRUE(has(html, "&lt;script&gt;"));
}

TEST(RunReport, RefersToNothingOutsideItself) {
  RunReport report = example(10);
  EXPECT_EQ(count(run_report_html(report), "src=\"data:image/png;base64,"), 2);
  // The pictures' digits may spell anything.
  report.mistakes.clear();
  const std::string html = run_report_html(report);
  for (const char* part : {"http", "<script", "<link", "url(", "@import", "//", "href", "src="}) {
    EXPECT_FALSE(has(html, part)) << part;
  }
}

TEST(RunReport, SurvivesWhatWasNotMeasured) {
  RunReport report = example(2);
  for (EpochRecord& record : report.epochs)
    record = {record.epoch, kNan, kNan, kNan, kNan, kNan, kNan};
  report.mistakes[0].confidence = kNan;
  report.confusion = {{0, 0}, {0, 0}};
  const std::string html = run_report_html(report);
  EXPECT_FALSE(has(html, "nan"));
  EXPECT_TRUE(has(html, "no data"));
  EXPECT_FALSE(has(html, "Best validation accuracy"));
}

TEST(RunReport, IsAPageEvenWhenEmpty) {
  const std::string html = run_report_html({});
  EXPECT_TRUE(has(html, "This run has not been evaluated."));
  EXPECT_TRUE(has(html, "No epoch has been recorded."));
  EXPECT_TRUE(has(html, "</html>"));
}

TEST(RunReport, NumbersClassesWithoutNames) {
  RunReport report = example(3);
  report.class_names.clear();
  EXPECT_TRUE(has(run_report_html(report), ">2</th>"));
}

TEST(RunReport, RefusesNamesThatDoNotFitTheMatrix) {
  RunReport report = example(3);
  report.class_names.pop_back();
  EXPECT_THROW(run_report_html(report), std::invalid_argument);
}

TEST(RunReport, CanBeReadAloud) {
  const std::string html = run_report_html(example(10));
  EXPECT_EQ(count(html, "<th"), count(html, "<th scope=") + count(html, "<thead"));
  EXPECT_TRUE(has(html, "alt=\"An image of dog, taken for cat\""));
  EXPECT_TRUE(has(html, "aria-label=\"Plot: Loss; training ends at 0.3333; validation ends at"));
}

TEST(RunReport, WhatHasNoAccuracyHasNoPlotOfIt) {
  RunReport report;
  EpochRecord epoch{.epoch = 1};
  epoch.train_loss = 2;
  epoch.validation_loss = 3;
  epoch.train_accuracy = epoch.validation_accuracy = std::numeric_limits<double>::quiet_NaN();
  report.epochs = {epoch};
  EXPECT_FALSE(has(run_report_html(report), "accuracy, %"));
  report.epochs.front().validation_accuracy = 0.5;
  EXPECT_TRUE(has(run_report_html(report), "accuracy, %"));
  EXPECT_TRUE(has(run_report_html(report), "error 50.00 %"));
  report.measure = "average precision";
  EXPECT_FALSE(has(run_report_html(report), "accuracy"));
  EXPECT_FALSE(has(run_report_html(report), "error 50.00 %"));
  EXPECT_TRUE(has(run_report_html(report), "Best validation average precision"));
  EXPECT_TRUE(has(run_report_html(report), "Average precision"));
}

}  // namespace
}  // namespace striate
