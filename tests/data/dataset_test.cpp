#include "striate/data/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "data/made_data.h"

namespace striate {
namespace {

TEST(OpenDataset, NamesTheKindsWhenOneIsUnknown) {
  const Problem problem = problem_of<LookupError>([] { open_dataset("cifar:x", Split::kTrain); });
  EXPECT_TRUE(has(problem.message, "cifar"));
  for (const char* kind : {"fashion-mnist", "idx:DIR", "cifar10:DIR", "folder:DIR", "pack:FILE"}) {
    EXPECT_TRUE(has(problem.hint, kind));
  }
  EXPECT_THROW(open_dataset("", Split::kTrain), LookupError);
  EXPECT_THROW(open_dataset("/some/folder", Split::kTrain), LookupError);
}

TEST(OpenDataset, AKindWithoutAFolderIsAnError) {
  for (const std::string spelling : {"idx", "idx:", "cifar10:", "folder"}) {
    const Problem problem = problem_of<LookupError>([&] { open_dataset(spelling, Split::kTest); });
    EXPECT_TRUE(has(problem.message, spelling));
    EXPECT_TRUE(has(problem.hint, ":DIR"));
  }
  const Problem problem = problem_of<LookupError>([&] { open_dataset("pack:", Split::kTest); });
  EXPECT_TRUE(has(problem.message, "names no file"));
  EXPECT_TRUE(has(problem.hint, "pack:FILE"));
}

TEST(OpenDataset, AFolderThatIsNotThereIsNamed) {
  for (const std::string kind : {"idx", "cifar10", "folder", "pack"}) {
    const Problem problem =
        problem_of<IoError>([&] { open_dataset(kind + ":/no/such/place", Split::kTrain); });
    EXPECT_TRUE(has(problem.message, "/no/such/place"));
  }
}

Sample numbered_sample(int64_t index) {
  return {.image = grey_image(1, {static_cast<uint8_t>(index)}), .label = index % 2};
}

TEST(Subset, HoldsTheSamplesInTheOrderGivenAndKeepsTheWholeAlive) {
  auto whole = std::make_shared<const MadeDataset>(10, numbered_sample);
  const std::unique_ptr<Dataset> part = subset(std::move(whole), {7, 2, 7});
  ASSERT_EQ(part->size(), 3);
  EXPECT_EQ(part->sample(0).image.pixels[0], 7);
  EXPECT_EQ(part->sample(1).image.pixels[0], 2);
  EXPECT_EQ(part->label(2), 1);
  EXPECT_EQ(part->origin(1), "made/2");
  EXPECT_EQ(part->class_names().size(), 2U);
  EXPECT_THROW(part->sample(3), std::out_of_range);
  EXPECT_THROW(part->sample(-1), std::out_of_range);
}

TEST(HoldOut, SplitsEverythingOnceAndSorted) {
  const HeldOut parts = hold_out(100, 30, 5);
  EXPECT_EQ(parts.validation.size(), 30U);
  EXPECT_TRUE(std::ranges::is_sorted(parts.training));
  EXPECT_TRUE(std::ranges::is_sorted(parts.validation));
  std::vector<int64_t> all = parts.training;
  all.insert(all.end(), parts.validation.begin(), parts.validation.end());
  std::ranges::sort(all);
  std::vector<int64_t> expected(100);
  std::iota(expected.begin(), expected.end(), int64_t{0});
  EXPECT_EQ(all, expected);
}

TEST(HoldOut, DependsOnTheSeedOnly) {
  EXPECT_EQ(hold_out(100, 30, 5).validation, hold_out(100, 30, 5).validation);
  EXPECT_NE(hold_out(100, 30, 5).validation, hold_out(100, 30, 6).validation);
}

TEST(HoldOut, LeavesSomethingOnBothSidesOrIsAnError) {
  EXPECT_EQ(hold_out(2, 1, 0).training.size(), 1U);
  for (const int64_t size : {-1, 0, 10, 11}) {
    EXPECT_THROW(hold_out(10, size, 0), std::invalid_argument) << size;
  }
}

}  // namespace
}  // namespace striate
