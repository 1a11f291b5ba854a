#include "striate/training/recipe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/models/models.h"

namespace striate {
namespace {

TEST(Recipes, AllCanBeReadAndSurviveARoundTrip) {
  ASSERT_GE(recipe_names().size(), 23U);
  for (const std::string& name : recipe_names()) {
    const Recipe recipe = named_recipe(name);
    EXPECT_EQ(recipe.name, name);
    EXPECT_FALSE(recipe.source.empty()) << name;
    const Json json = to_json(recipe);
    EXPECT_EQ(to_json(recipe_from_json(json, name)), json) << name;
  }
}

TEST(Recipes, EveryModelNamesOneThatExists) {
  for (const ModelEntry& entry : model_registry()) {
    EXPECT_NO_THROW(named_recipe(entry.recipe)) << entry.name;
    EXPECT_NO_THROW(named_preprocessing(entry.preprocess)) << entry.name;
  }
}

TEST(Recipes, SourcesNameValuesThatExist) {
  for (const std::string& name : recipe_names()) {
    const Json json = to_json(named_recipe(name));
    for (const auto& [path, source] : named_recipe(name).sources) {
      std::string pointer = "/" + path;
      std::replace(pointer.begin(), pointer.end(), '.', '/');
      EXPECT_TRUE(json.contains(Json::json_pointer(pointer))) << name << ": " << path;
    }
  }
}

TEST(Recipes, CitePapersOfTheBibliography) {
  const std::string papers = read_text(STRIATE_SOURCE_DIR "/docs/papers.bib");
  const std::regex key("[a-z]+(19|20)[0-9]{2}");
  for (const std::string& name : recipe_names()) {
    const Recipe recipe = named_recipe(name);
    std::string text = recipe.source;
    for (const auto& [path, source] : recipe.sources) text += " " + source;
    for (std::sregex_iterator cited(text.begin(), text.end(), key), end; cited != end; ++cited) {
      EXPECT_NE(papers.find("{" + cited->str() + ","), std::string::npos)
          << name << " cites " << cited->str();
    }
  }
}

TEST(Recipes, ThePapersValuesAreThePapers) {
  const Recipe cifar = named_recipe("resnet-cifar");
  EXPECT_EQ(cifar.batch_size, 128);
  EXPECT_EQ(cifar.optimizer.learning_rate, 0.1);
  EXPECT_EQ(cifar.optimizer.weight_decay, 1e-4);
  // 32,000 and 48,000 iterations of 351 an epoch.
  EXPECT_EQ(cifar.schedule.milestones, (std::vector<int64_t>{32000 / 351, 48000 / 351}));

  const Recipe googlenet = named_recipe("googlenet");
  EXPECT_EQ(googlenet.loss.auxiliary_weight, 0.3);
  EXPECT_EQ(googlenet.schedule.every, 8);
  EXPECT_EQ(googlenet.schedule.factor, 0.96);
  EXPECT_GT(googlenet.average_decay, 0);
  EXPECT_EQ(named_recipe("resnet-notes").optimizer.weight_decay, 1e-5);
  EXPECT_EQ(named_recipe("squeezenet").schedule.kind, ScheduleOptions::Kind::kLinear);
  EXPECT_EQ(named_recipe("alexnet").eval_transforms.views(), 10);
}

TEST(WithSetting, ChangesOneValue) {
  const Recipe recipe = named_recipe("resnet-cifar");
  EXPECT_EQ(with_setting(recipe, "optimizer.learning_rate=0.05").optimizer.learning_rate, 0.05);
  EXPECT_EQ(with_setting(recipe, "epochs=3").epochs, 3);
  EXPECT_EQ(with_setting(recipe, "schedule.kind=cosine").schedule.kind,
            ScheduleOptions::Kind::kCosine);
  EXPECT_EQ(with_setting(recipe, "train_transforms=[]").train_transforms.transforms().size(), 0U);
}

TEST(WithSetting, RefusesWhatIsNoValueOfARecipe) {
  const Recipe recipe = named_recipe("resnet-cifar");
  EXPECT_THROW(with_setting(recipe, "epochs"), FormatError);
  EXPECT_THROW(with_setting(recipe, "epochs=-1"), FormatError);
  EXPECT_THROW(with_setting(recipe, "epochs.more=1"), FormatError);
  EXPECT_THROW(with_setting(recipe, "train_transforms.9999999999=1"), FormatError);
  EXPECT_THROW(with_setting(recipe, "schedule.milestones=[1.5]"), FormatError);
  EXPECT_THROW(with_setting(recipe, "epochs=" + std::string(100000, '[')), FormatError);
  EXPECT_THROW(with_setting(recipe, "schedule.every=-1"), FormatError);
  EXPECT_THROW(with_setting(recipe, "loss.auxiliary_weight=-0.1"), FormatError);
  EXPECT_THROW(with_setting(recipe, "average_decay=1"), FormatError);
  EXPECT_THROW(with_setting(recipe, "statistics_images=-1"), FormatError);
  EXPECT_THROW(with_setting(recipe, "optimizer.kind=sdg"), LookupError);
  try {
    with_setting(recipe, "optimizer.learning_rat=1");
    FAIL() << "accepted";
  } catch (const FormatError& error) {
    EXPECT_EQ(error.hint(), "did you mean \"learning_rate\"?");
  }
}

TEST(RecipeFromJson, APlateauNeedsImagesToWatch) {
  Json json = to_json(named_recipe("resnet-paper"));
  json["validation_size"] = 0;
  EXPECT_THROW(recipe_from_json(json, "recipe"), FormatError);
}

}  // namespace
}  // namespace striate
