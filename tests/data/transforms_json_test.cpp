#include <gtest/gtest.h>

#include "data/made_data.h"
#include "striate/data/transforms.h"

namespace striate {
namespace {

// Every transform with every field, none of them at its default.
constexpr const char* kEveryTransform = R"([
  {"channels": {"count": 1}},
  {"resize": {"size": 40, "square": true, "interpolation": "lanczos"}},
  {"pad": {"padding": 3}},
  {"center_crop": {"size": 41}},
  {"random_crop": {"size": 33, "padding": 5}},
  {"random_resized_crop": {"size": 31, "scale": [0.25, 0.75], "ratio": [0.5, 2.0],
                           "interpolation": "bicubic"}},
  {"random_horizontal_flip": {"p": 0.25}},
  {"color_jitter": {"brightness": 0.1, "contrast": 0.2, "saturation": 0.3, "hue": 0.4}},
  {"ten_crop": {"size": 29}},
  {"pca_jitter": {"deviation": 0.2}},
  {"normalize": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}},
  {"random_erasing": {"p": 0.75, "scale": [0.1, 0.2], "ratio": [0.4, 2.5]}}
])";

Preprocessing parse(const std::string& text) {
  return Preprocessing::from_json(Json::parse(text), "recipe.transforms");
}

TEST(TransformsJson, EveryTransformSurvivesARoundTrip) {
  const Json json = Json::parse(kEveryTransform);
  const Preprocessing read = Preprocessing::from_json(json, "here");
  ASSERT_EQ(read.transforms().size(), std::variant_size_v<Transform>);
  for (size_t i = 0; i < read.transforms().size(); ++i) {
    EXPECT_EQ(read.transforms()[i].index(), i) << json[i].dump();
  }
  EXPECT_EQ(read.to_json(), json);
  const auto& crop = std::get<transforms::RandomResizedCrop>(read.transforms()[5]);
  EXPECT_EQ(crop.size, 31);
  EXPECT_EQ(crop.scale[1], 0.75);
  EXPECT_EQ(crop.interpolation, Interpolation::kBicubic);
}

TEST(TransformsJson, FieldsThatAreLeftOutHaveTheirDefaults) {
  const Preprocessing read = parse(R"([{"random_resized_crop": {}}, {"normalize": {}}])");
  const auto& crop = std::get<transforms::RandomResizedCrop>(read.transforms()[0]);
  EXPECT_EQ(crop.size, 224);
  EXPECT_EQ(crop.scale[0], 0.08);
  EXPECT_TRUE(needs_measuring(read));
  EXPECT_TRUE(parse("[]").transforms().empty());
}

struct WrongText {
  const char* text;
  const char* message;  // a part of it
  const char* hint;     // a part of it
};

TEST(TransformsJson, WhatIsWrongIsNamedWithItsPlace) {
  const std::vector<WrongText> wrong = {
      {R"({"resize": {}})", "recipe.transforms must be a list", ""},
      {R"([{"resize": {}}, 7])", "recipe.transforms[1] must be an object", "center_crop"},
      {R"([{"resize": {}, "pad": {}}])", "recipe.transforms[0] must be an object", ""},
      {R"([{"resize": {}}, {"center_corp": {}}])", "recipe.transforms[1]", "center_crop"},
      {R"([{"resize": {"sise": 3}}])", "recipe.transforms[0].resize.sise", "size"},
      {R"([{"resize": {"size": "big"}}])", "recipe.transforms[0].resize.size", ""},
      {R"([{"resize": {"interpolation": "bilinar"}}])", "recipe.transforms[0].resize", "bilinear"},
      {R"([{"resize": 3}])", "recipe.transforms[0].resize must be a JSON object", ""},
      {R"([{"resize": {}}, {"pad": {"padding": -1}}])", "recipe.transforms[1].pad", ""},
      {R"([{"normalize": {"mean": [0.5]}}])", "recipe.transforms[0].normalize", ""},
      {R"([{"random_resized_crop": {"scale": [1]}}])", "recipe.transforms[0].random_resized_crop",
       ""},
      {R"([{"normalize": {}}, {"center_crop": {}}])", "recipe.transforms: ", ""},
  };
  for (const WrongText& w : wrong) {
    const Problem problem = problem_of<FormatError>([&] { parse(w.text); });
    EXPECT_TRUE(has(problem.message, w.message)) << w.text;
    EXPECT_TRUE(has(problem.hint, w.hint)) << w.text;
  }
}

TEST(NamedPreprocessing, HasTheUsualOnes) {
  EXPECT_EQ(named_preprocessing("imagenet").views(), 1);
  EXPECT_EQ(named_preprocessing("imagenet-10crop").views(), 10);
  Random random({0});
  const FloatImage digit =
      named_preprocessing("unit-32").apply(make_image(28, 28, 3), random).at(0);
  EXPECT_EQ(digit.width, 32);
  EXPECT_EQ(digit.channels, 1);
  const FloatImage photo =
      named_preprocessing("imagenet").apply(make_image(300, 260, 3), random).at(0);
  EXPECT_EQ(photo.width, 224);
  EXPECT_NEAR(photo.pixels[0], -0.485 / 0.229, 1e-5);
}

TEST(NamedPreprocessing, AnUnknownNameGetsTheNearest) {
  const Problem problem = problem_of<LookupError>([] { named_preprocessing("imagnet"); });
  EXPECT_TRUE(has(problem.hint, "imagenet"));
}

}  // namespace
}  // namespace striate
