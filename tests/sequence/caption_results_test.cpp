#include "striate/sequence/caption_results.h"

#include "data/made_data.h"
#include "striate/base/file.h"
#include "striate/base/json.h"

namespace striate {
namespace {

class CaptionResults : public testing::Test {
 protected:
  std::vector<CaptionResult> read(const std::string& text) {
    write_file_atomically(folder_ / "results.json", text);
    return read_caption_results(folder_ / "results.json");
  }
  void expect_problem(const std::string& text, const std::vector<std::string>& parts) {
    const Problem problem = problem_of<FormatError>([&] { read(text); });
    EXPECT_TRUE(has(problem.message, "results.json"));
    for (const std::string& part : parts) EXPECT_TRUE(has(problem.message, part));
  }

  TemporaryFolder folder_;
};

TEST_F(CaptionResults, NameImagesByNumberOrText) {
  const auto results = read(
      R"([{"image_id": 391895, "caption": "A dog"}, {"image_id": "a.jpg", "caption": "", "id": 1}])");
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].id, "391895");
  EXPECT_EQ(results[0].caption, "A dog");
  EXPECT_EQ(results[1].id, "a.jpg");
  EXPECT_EQ(results[1].caption, "");
}

TEST_F(CaptionResults, OfADamagedFileNameTheEntry) {
  expect_problem("", {"not JSON"});
  expect_problem("{}", {"no list"});
  expect_problem("[]", {"no list"});
  expect_problem("[3]", {"[0]", "object"});
  expect_problem(R"([{"image_id": 1, "caption": "a"}, {"image_id": 2}])",
                 {"[1].caption is missing"});
  expect_problem(R"([{"image_id": 1.5, "caption": "a"}])", {"[0].image_id", "wrong type"});
  expect_problem(R"([{"image_id": 1, "caption": null}])", {"[0].caption", "wrong type"});
  expect_problem(R"([{"image_id": 1, "caption": "a"}, {"image_id": "1", "caption": "b"}])",
                 {"[1] is a second caption of image 1"});
  expect_problem("[{\"image_id\": 1, \"caption\": \"caf\xE9\"}]", {"not JSON"});
}

TEST_F(CaptionResults, AreMatchedWithTheirImagesOfAnySplit) {
  CaptionData data;
  data.splits[0].push_back({.id = "1", .captions = {"A dog .", "Dogs"}});
  data.splits[2].push_back({.id = "2", .captions = {"Cats"}});
  const CaptionSources sources = {.results = "results.json", .references = "captions:x"};
  const auto cases = caption_cases({{"2", "The cat."}, {"1", ""}}, data, sources);
  ASSERT_EQ(cases.size(), 2U);
  EXPECT_EQ(cases[0].hypothesis, (Tokens{"the", "cat"}));
  EXPECT_EQ(cases[0].references, std::vector<Tokens>{{"cats"}});
  EXPECT_TRUE(cases[1].hypothesis.empty());
  EXPECT_EQ(cases[1].references.size(), 2U);
  const Problem problem = problem_of<FormatError>([&] {
    caption_cases({{"1", "a"}, {"3", "b"}}, data, sources);
  });
  EXPECT_TRUE(has(problem.message, "results.json: [1] is of image 3, which captions:x has not"));
}

}  // namespace
}  // namespace striate
