#include "striate/detection/detection_results.h"

#include "data/made_data.h"
#include "striate/base/file.h"

namespace striate {
namespace {

const std::vector<AnnotatedImage> kImages = {{.id = 42, .width = 4, .height = 3},
                                             {.id = 7, .width = 2, .height = 2}};
const std::vector<int64_t> kCategories = {1, 18};

class DetectionResults : public testing::Test {
 protected:
  std::vector<std::vector<Detection>> read(const std::string& text) {
    write_file_atomically(file_, text);
    return read_detections(file_, kImages, kCategories);
  }
  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "results.json";
};

TEST_F(DetectionResults, AreReadAsTheyWereWritten) {
  const RunLengthMask mask{.height = 2, .width = 2, .counts = {1, 2, 1}};
  const std::vector<std::vector<Detection>> written = {
      {{.box = {0.5, 1, 3.25, 3}, .label = 1, .score = 0.75}, {.box = {0, 0, 1, 1}, .score = 0.1}},
      {{.box = {0, 0, 2, 2}, .label = 1, .score = 1, .mask = mask}}};
  write_detections(file_, kImages, written, kCategories);
  const auto read = read_detections(file_, kImages, kCategories);
  ASSERT_EQ(read.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    ASSERT_EQ(read[i].size(), written[i].size());
    for (size_t j = 0; j < read[i].size(); ++j) {
      EXPECT_EQ(read[i][j].box, written[i][j].box);
      EXPECT_EQ(read[i][j].label, written[i][j].label);
      EXPECT_EQ(read[i][j].score, written[i][j].score);
      EXPECT_EQ(read[i][j].mask, written[i][j].mask);
    }
  }
}

TEST_F(DetectionResults, MayBeNone) {
  write_detections(file_, kImages, {{}, {}}, kCategories);
  for (const auto& none : read_detections(file_, kImages, kCategories)) EXPECT_TRUE(none.empty());
}

TEST_F(DetectionResults, OfAMaskAloneHaveItsBox) {
  const auto read = this->read(
      R"([{"image_id": 7, "category_id": 18, "score": 1,
           "segmentation": {"size": [2, 2], "counts": [2, 1, 1]}}])");
  EXPECT_EQ(read[1].at(0).box, (Box{1, 0, 2, 1}));
}

TEST_F(DetectionResults, ThatDontFitAreNamed) {
  const auto expect = [&](const std::string& text, const std::string& part) {
    EXPECT_TRUE(has(problem_of<FormatError>([&] { read(text); }).message, part));
  };
  const std::string good = R"({"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1})";
  expect("[" + good + R"(, {"image_id": 8, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}])",
         "[1] is of image 8");
  expect(R"([{"image_id": 7, "category_id": 2, "bbox": [0, 0, 1, 1], "score": 1}])", "category 2");
  expect(R"([{"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1]}])", "score");
  expect(R"([{"image_id": 7, "category_id": 1, "score": 1}])", "bbox");
  expect(R"([{"image_id": 7, "category_id": 1, "score": 1,
              "segmentation": {"size": [2, 2], "counts": [9]}}])",
         "no mask");
  expect(R"({"annotations": [)" + good + "]}", "no list of detections");
  expect("[{", "not JSON");
}

}  // namespace
}  // namespace striate
