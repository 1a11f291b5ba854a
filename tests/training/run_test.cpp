#include "striate/training/run.h"

#include <gtest/gtest.h>

#include "striate/base/error.h"

namespace striate {
namespace {

RunConfig config() {
  return {.model = "resnet20",
          .input = {3, 32, 32},
          .class_names = {"cat", "dog"},
          .data = "cifar10:data",
          .limit = 100,
          .final_survival = 0.5,
          .freeze_up_to = "layer1.0.bn1",
          .recipe = named_recipe("resnet-cifar")};
}

TEST(RunConfig, SurvivesARoundTrip) {
  const Json json = to_json(config());
  const RunConfig read = run_config_from_json(json, "run");
  EXPECT_EQ(to_json(read), json);
  EXPECT_EQ(read.final_survival, 0.5);
  EXPECT_EQ(read.freeze_up_to, "layer1.0.bn1");
}

// As an earlier version wrote it.
TEST(RunConfig, MayLackWhatCameLater) {
  Json json = to_json(config());
  json.erase("final_survival");
  json.erase("freeze_up_to");
  json["recipe"].erase("average_decay");
  json["recipe"]["loss"].erase("auxiliary_weight");
  json["recipe"]["schedule"].erase("every");
  const RunConfig read = run_config_from_json(json, "run");
  EXPECT_EQ(read.final_survival, 0);
  EXPECT_EQ(read.freeze_up_to, "");
  EXPECT_EQ(read.recipe.average_decay, 0);
  EXPECT_EQ(read.recipe.loss.auxiliary_weight, 0);
  EXPECT_EQ(read.recipe.schedule.every, 0);
}

TEST(RunConfig, RefusesASurvivalThatIsNoProbability) {
  for (const double survival : {-0.1, 1.5}) {
    Json json = to_json(config());
    json["final_survival"] = survival;
    EXPECT_THROW(run_config_from_json(json, "run"), FormatError) << survival;
  }
}

TEST(WeightsCard, KeepsTheFinalSurvivalWhereThereIsOne) {
  WeightsCard card{.model = "resnet20", .input = {3, 32, 32}, .class_names = {"cat", "dog"}};
  EXPECT_FALSE(to_metadata(card).contains("striate.final_survival"));
  EXPECT_EQ(card_from_metadata(to_metadata(card), "file").final_survival, 0);
  card.final_survival = 0.8;
  EXPECT_EQ(card_from_metadata(to_metadata(card), "file").final_survival, 0.8);
}

TEST(WeightsCard, RefusesAFinalSurvivalThatIsDamaged) {
  const WeightsCard card{.model = "resnet20", .input = {3, 32, 32}, .class_names = {"cat", "dog"}};
  for (const char* damaged : {"2", "-1", "\"half\"", "null", "[0.5]", "0.5}"}) {
    auto metadata = to_metadata(card);
    metadata["striate.final_survival"] = damaged;
    EXPECT_THROW(card_from_metadata(metadata, "file"), FormatError) << damaged;
  }
}

}  // namespace
}  // namespace striate
