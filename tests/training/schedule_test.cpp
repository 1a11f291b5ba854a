#include "striate/training/schedule.h"

#include <gtest/gtest.h>

namespace striate {
namespace {

using Kind = ScheduleOptions::Kind;

TEST(Schedule, StepDividesAtItsMilestones) {
  const Schedule schedule({.kind = Kind::kStep, .milestones = {2, 4}, .factor = 0.1}, 6, 10);
  EXPECT_DOUBLE_EQ(schedule.factor(0), 1);
  EXPECT_DOUBLE_EQ(schedule.factor(19), 1);
  EXPECT_DOUBLE_EQ(schedule.factor(20), 0.1);
  EXPECT_NEAR(schedule.factor(40), 0.01, 1e-15);
}

TEST(Schedule, StepDividesEverySoManyEpochsToo) {
  const Schedule schedule({.kind = Kind::kStep, .milestones = {5}, .every = 3, .factor = 0.5}, 9,
                          10);
  const double expected[] = {1, 1, 1, 0.5, 0.5, 0.25, 0.125, 0.125, 0.125};
  for (int64_t epoch = 0; epoch < 9; ++epoch) {
    EXPECT_DOUBLE_EQ(schedule.factor(10 * epoch), expected[epoch]) << epoch;
    EXPECT_DOUBLE_EQ(schedule.factor(10 * epoch + 9), expected[epoch]) << epoch;
  }
}

TEST(Schedule, LinearFallsFromOneByEqualSteps) {
  const Schedule schedule({.kind = Kind::kLinear, .milestones = {}}, 10, 10);
  for (int64_t step = 0; step < 100; ++step) {
    EXPECT_NEAR(schedule.factor(step), 1 - static_cast<double>(step) / 100, 1e-12) << step;
  }
}

TEST(Schedule, LinearFallsAfterTheWarmUpOnly) {
  const Schedule schedule({.kind = Kind::kLinear, .warmup_epochs = 2, .milestones = {}}, 10, 10);
  EXPECT_DOUBLE_EQ(schedule.factor(9), 0.5);
  EXPECT_DOUBLE_EQ(schedule.factor(20), 1);
  EXPECT_NEAR(schedule.factor(60), 0.5, 1e-12);
}

TEST(Schedule, CosineFallsFromOneToZero) {
  const Schedule schedule({.kind = Kind::kCosine, .milestones = {}}, 10, 10);
  EXPECT_DOUBLE_EQ(schedule.factor(0), 1);
  EXPECT_NEAR(schedule.factor(50), 0.5, 1e-12);
  EXPECT_LT(schedule.factor(99), 0.001);
}

TEST(Schedule, WarmUpRisesLinearlyToTheBaseRate) {
  const Schedule schedule({.kind = Kind::kConstant, .warmup_epochs = 0.5, .milestones = {}}, 10,
                          10);
  EXPECT_DOUBLE_EQ(schedule.factor(0), 0.2);
  EXPECT_DOUBLE_EQ(schedule.factor(3), 0.8);
  EXPECT_DOUBLE_EQ(schedule.factor(4), 1);
  EXPECT_DOUBLE_EQ(schedule.factor(5), 1);
}

TEST(Schedule, PlateauDividesWhenTheAccuracyStopsRising) {
  Schedule schedule({.kind = Kind::kPlateau, .milestones = {}, .factor = 0.1, .patience = 2}, 10,
                    10);
  schedule.epoch_ended(0.5);
  schedule.epoch_ended(0.5);  // not better: 1
  EXPECT_DOUBLE_EQ(schedule.factor(20), 1);
  schedule.epoch_ended(0.4);  // 2
  EXPECT_DOUBLE_EQ(schedule.factor(30), 0.1);
  schedule.epoch_ended(0.6);
  schedule.epoch_ended(0.55);

  Schedule resumed({.kind = Kind::kPlateau, .milestones = {}, .factor = 0.1, .patience = 2}, 10,
                   10);
  resumed.load_state(schedule.state());
  for (Schedule* s : {&schedule, &resumed}) {
    s->epoch_ended(0.55);
    EXPECT_NEAR(s->factor(60), 0.01, 1e-15);
  }
}

}  // namespace
}  // namespace striate
