#include "report/confusion.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

namespace striate {
namespace {

TEST(Confusion, GivesPrecisionAndRecallOfEachClass) {
  const ConfusionSummary summary = summarize({{8, 2, 0}, {1, 3, 0}, {0, 0, 0}});
  EXPECT_EQ(summary.images, 14);
  EXPECT_EQ(summary.correct, 11);
  EXPECT_DOUBLE_EQ(summary.classes[0].precision, 8.0 / 9);
  EXPECT_DOUBLE_EQ(summary.classes[0].recall, 0.8);
  EXPECT_DOUBLE_EQ(summary.classes[1].precision, 0.6);
  EXPECT_DOUBLE_EQ(summary.classes[1].recall, 0.75);
}

TEST(Confusion, HasNoRatioForAClassWithoutImages) {
  const ConfusionSummary summary = summarize({{1, 0}, {0, 0}});
  EXPECT_TRUE(std::isnan(summary.classes[1].precision));
  EXPECT_TRUE(std::isnan(summary.classes[1].recall));
  EXPECT_NE(scores_markup(summary.classes, {"a", "b"}).find("<td>–</td><td>–</td>"),
            std::string::npos);
}

TEST(Confusion, RefusesWhatIsNoMatrixOfCounts) {
  EXPECT_THROW(summarize({{1, 2}, {3}}), std::invalid_argument);
  EXPECT_THROW(summarize({{1, 2}}), std::invalid_argument);
  EXPECT_THROW(summarize({{-1}}), std::invalid_argument);
  const int64_t half = int64_t{1} << 52;
  EXPECT_NO_THROW(summarize({{half, half}, {0, 0}}));
  EXPECT_THROW(summarize({{half, half}, {1, 0}}), std::invalid_argument);
}

TEST(Confusion, ListsTheLargestConfusionsFirst) {
  const Confusion confusion = {{50, 5, 0}, {5, 20, 9}, {0, 1, 7}};
  const std::vector<ConfusedPair> pairs = most_confused(confusion, 3);
  ASSERT_EQ(pairs.size(), 3u);
  EXPECT_EQ(pairs[0].images, 9);
  EXPECT_EQ(pairs[0].truth, 1);
  EXPECT_EQ(pairs[0].predicted, 2);
  EXPECT_DOUBLE_EQ(pairs[0].share, 9.0 / 34);
  EXPECT_EQ(pairs[1].truth, 1);  // of two pairs with 5 images, the larger share
  EXPECT_EQ(most_confused(confusion, 100).size(), 4u);
  EXPECT_TRUE(most_confused({{3}}, 5).empty());
}

TEST(Confusion, IntervalEqualsPublishedValues) {
  // Newcombe (1998), table I, method 3: the worked examples of Wilson's interval.
  const Interval interval = confidence_interval(81, 263);
  EXPECT_NEAR(interval.low, 0.2553, 5e-5);
  EXPECT_NEAR(interval.high, 0.3662, 5e-5);
  EXPECT_NEAR(confidence_interval(0, 20).high, 0.1611, 5e-5);
  EXPECT_EQ(confidence_interval(0, 20).low, 0);
  EXPECT_EQ(confidence_interval(20, 20).high, 1);
}

}  // namespace
}  // namespace striate
