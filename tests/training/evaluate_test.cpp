#include "striate/training/evaluate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace striate {
namespace {

Predictions three_images() {
  return {.probabilities =
              at::tensor({0.7F, 0.2F, 0.1F, 0.3F, 0.6F, 0.1F, 0.05F, 0.9F, 0.05F}).view({3, 3}),
          .labels = at::tensor({0, 0, 2}, at::kLong)};
}

TEST(Accuracy, CountsTheLargestProbabilities) {
  const Accuracy result = accuracy(three_images());
  EXPECT_EQ(result.images, 3);
  EXPECT_EQ(result.correct, 1);
  EXPECT_DOUBLE_EQ(result.top1, 1.0 / 3);
  EXPECT_DOUBLE_EQ(result.top5, 1);
}

TEST(Accuracy, TopFiveIsNotTopOne) {
  Predictions p{
      .probabilities =
          at::tensor({0.3F, 0.2F, 0.15F, 0.14F, 0.12F, 0.09F}).view({1, 6}).repeat({2, 1}),
      .labels = at::tensor({4, 5}, at::kLong)};
  EXPECT_DOUBLE_EQ(accuracy(p).top1, 0);
  EXPECT_DOUBLE_EQ(accuracy(p).top5, 0.5);
}

TEST(ConfusionMatrix, HasTheTruthInItsRows) {
  const auto matrix = confusion_matrix(three_images());
  EXPECT_EQ(matrix, (std::vector<std::vector<int64_t>>{{1, 1, 0}, {0, 0, 0}, {0, 1, 0}}));
}

TEST(MostConfidentMistakes, AreOrderedByConfidence) {
  EXPECT_EQ(most_confident_mistakes(three_images(), 10), (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(most_confident_mistakes(three_images(), 1), (std::vector<int64_t>{2}));
}

TEST(Average, OfMembersIsTheMeanOfTheirProbabilities) {
  Predictions other = three_images();
  other.probabilities = at::tensor({0.1F, 0.2F, 0.7F}).repeat({3, 1});
  const Predictions both = average({three_images(), other});
  EXPECT_NEAR(both.probabilities[0][0].item<double>(), 0.4, 1e-6);
  EXPECT_NEAR(both.loss, -(std::log(0.4) + std::log(0.2) + std::log(0.375)) / 3, 1e-6);
}

TEST(Average, OfDifferentDataIsRefused) {
  Predictions other = three_images();
  other.labels = at::tensor({1, 0, 2}, at::kLong);
  EXPECT_THROW(average({three_images(), other}), std::invalid_argument);
  EXPECT_THROW(average({}), std::invalid_argument);
}

}  // namespace
}  // namespace striate
