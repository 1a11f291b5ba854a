#include "striate/detection/error_analysis.h"

#include <gtest/gtest.h>

namespace striate {
namespace {

const Box kPlace{10, 10, 30, 30};
const Box kElsewhere{60, 60, 80, 80};

ErrorAnalysis analyse(const std::vector<Instance>& objects,
                      const std::vector<Detection>& detections) {
  return analyse_errors({{.id = 1, .width = 100, .height = 100, .instances = objects}},
                        {detections}, {.class_count = 2});
}

void expect_only(const ErrorAnalysis& analysis, DetectionError kind, double gain) {
  for (size_t k = 0; k < analysis.errors.size(); ++k) {
    SCOPED_TRACE(kDetectionErrorNames[k]);
    const bool expected = k == static_cast<size_t>(kind);
    EXPECT_EQ(analysis.errors[k].count, expected ? 1 : 0);
    if (expected) {
      EXPECT_NEAR(analysis.errors[k].gain, gain, 1e-12);
    }
  }
}

TEST(ErrorAnalysis, TellsAWrongPlace) {
  const ErrorAnalysis analysis =
      analyse({{.box = kPlace}}, {{.box = {10, 10, 30, 18}, .score = 0.9}});
  EXPECT_EQ(analysis.ap50, 0);
  expect_only(analysis, DetectionError::kLocalization, 1);
}

TEST(ErrorAnalysis, TellsAWrongClass) {
  expect_only(analyse({{.box = kPlace}}, {{.box = kPlace, .label = 1, .score = 0.9}}),
              DetectionError::kClass, 1);
}

TEST(ErrorAnalysis, TellsADuplicate) {
  const ErrorAnalysis analysis =
      analyse({{.box = kPlace}, {.box = kElsewhere}}, {{.box = kPlace, .score = 0.9},
                                                       {.box = kPlace, .score = 0.8},
                                                       {.box = kElsewhere, .score = 0.7}});
  expect_only(analysis, DetectionError::kDuplicate, 1 - analysis.ap50);
  EXPECT_LT(analysis.ap50, 0.9);
}

TEST(ErrorAnalysis, TellsBackground) {
  const ErrorAnalysis analysis = analyse(
      {{.box = kPlace}}, {{.box = kElsewhere, .score = 0.9}, {.box = kPlace, .score = 0.8}});
  EXPECT_DOUBLE_EQ(analysis.ap50, 0.5);
  expect_only(analysis, DetectionError::kBackground, 0.5);
}

TEST(ErrorAnalysis, TellsBothWrong) {
  const ErrorAnalysis analysis =
      analyse({{.box = kPlace}},
              {{.box = {10, 10, 30, 18}, .label = 1, .score = 0.9}, {.box = kPlace, .score = 0.8}});
  expect_only(analysis, DetectionError::kBoth, 0);
}

TEST(ErrorAnalysis, TellsAMissedObject) {
  const ErrorAnalysis analysis =
      analyse({{.box = kPlace}, {.box = kElsewhere}}, {{.box = kPlace, .score = 0.9}});
  expect_only(analysis, DetectionError::kMissed, 1 - analysis.ap50);
}

TEST(ErrorAnalysis, ForgivesWhatIsIgnored) {
  const ErrorAnalysis analysis =
      analyse({{.box = kPlace, .ignored = true}}, {{.box = kPlace, .score = 0.9}});
  EXPECT_EQ(analysis.ap50, -1);
  for (const ErrorCount& error : analysis.errors) EXPECT_EQ(error.count, 0);
}

}  // namespace
}  // namespace striate
