#include "striate/base/json.h"

#include <gtest/gtest.h>

namespace striate {
namespace {

TEST(ParseJson, SaysAtWhichByteItStopped) {
  try {
    parse_json("{\"a\": 1,}", "recipe.json");
    FAIL() << "accepted";
  } catch (const FormatError& error) {
    EXPECT_STREQ(error.what(), "recipe.json is not JSON: parsing stops at byte 9");
  }
}

TEST(JsonReader, RefusesAKeyThatNobodyAskedFor) {
  const Json json = {{"learning_rat", 0.1}};
  JsonReader reader(json, "recipe");
  EXPECT_EQ(reader.get("learning_rate", 0.5), 0.5);
  try {
    reader.finish();
    FAIL() << "accepted";
  } catch (const FormatError& error) {
    EXPECT_STREQ(error.what(), "recipe.learning_rat is not an option");
    EXPECT_EQ(error.hint(), "did you mean \"learning_rate\"?");
  }
}

TEST(JsonReader, NamesAValueOfTheWrongType) {
  const Json json = {{"epochs", "ten"}};
  JsonReader reader(json, "recipe");
  EXPECT_THROW(reader.get<int64_t>("epochs"), FormatError);
  EXPECT_THROW(reader.get<int64_t>("batch_size"), FormatError);
}

TEST(JsonReader, DoesNotCutNumbersToIntegers) {
  const Json json = parse_json(R"({"a": 1.5, "b": [1, 2.5], "c": 1e30, "d": -1, "e": [3]})", "x");
  JsonReader reader(json, "x");
  EXPECT_THROW(reader.get<int64_t>("a"), FormatError);
  EXPECT_THROW(reader.get<std::vector<int64_t>>("b"), FormatError);
  EXPECT_THROW(reader.get<int64_t>("c"), FormatError);
  EXPECT_THROW(reader.get<uint64_t>("d"), FormatError);
  EXPECT_EQ(reader.get<std::vector<int64_t>>("e"), (std::vector<int64_t>{3}));
}

}  // namespace
}  // namespace striate
