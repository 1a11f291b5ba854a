#include "striate/sequence/captions.h"

#include "data/made_data.h"
#include "sequence/text_reference.h"
#include "shared_folder.h"
#include "striate/base/file.h"

namespace striate {
namespace {

class Captions : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    write_file_atomically(folder_ / name, text);
  }
  void write_images(const std::vector<std::string>& names) {
    for (const std::string& name : names) write(name, "");
  }
  CaptionData read(CaptionOptions options = {}) { return read_captions(folder_.path(), options); }
  void expect_problem(const std::vector<std::string>& parts) {
    const Problem problem = problem_of<FormatError>([&] { read(); });
    for (const std::string& part : parts) EXPECT_TRUE(has(problem.message, part));
  }

  TemporaryFolder folder_;
};

const std::string kHeader = "split\timage\tcaption\n";

TEST_F(Captions, OfATable) {
  write_images({"images/a.jpg", "images/b.jpg", "c.jpg"});
  write("captions.tsv",
        kHeader +
            "train\ta.jpg\tA dog .\ndev\tb.jpg\tCats\r\ntrain\ta.jpg\tTwo dogs\ntest\tc.jpg\tX\n");
  const CaptionData data = read();
  ASSERT_EQ(data[CaptionSplit::kTrain].size(), 1U);
  EXPECT_EQ(data[CaptionSplit::kTrain][0].id, "a.jpg");
  EXPECT_EQ(data[CaptionSplit::kTrain][0].path, folder_ / "images/a.jpg");
  EXPECT_EQ(data[CaptionSplit::kTrain][0].captions,
            (std::vector<std::string>{"A dog .", "Two dogs"}));
  EXPECT_EQ(data[CaptionSplit::kValidation][0].captions, std::vector<std::string>{"Cats"});
  EXPECT_EQ(data[CaptionSplit::kTest][0].path, folder_ / "c.jpg");
}

TEST_F(Captions, OfADamagedTableNameTheLine) {
  write_images({"images/a.jpg"});
  const auto expect = [&](const std::string& text, const std::vector<std::string>& parts) {
    write("captions.tsv", text);
    expect_problem(parts);
  };
  expect("", {"captions.tsv is empty"});
  expect(kHeader, {"holds no images"});
  expect("a.jpg\tdog\n", {"captions.tsv, line 1"});
  expect(kHeader + "train\ta.jpg\tdog\ntrain\ta.jpg\n", {"captions.tsv, line 3", "2 fields"});
  expect(kHeader + "train\ta.jpg\ta\tdog\n", {"line 2", "4 fields"});
  expect(kHeader + "tarin\ta.jpg\tdog\n", {"line 2", "no split \"tarin\""});
  expect(kHeader + "train\ta.jpg\tdog\ntrain\ta.jpg\t\n", {"line 3", "has no word"});
  expect(kHeader + "train\ta.jpg\t . \n", {"line 2", "\" . \"", "has no word"});
  expect(kHeader + "train\ta.jpg\tdog\ntest\ta.jpg\tdog\n", {"line 3", "a.jpg", "train and test"});
  expect(kHeader + "train\ta.jpg\tcaf\xE9\n", {"line 2", "not UTF-8"});
}

TEST_F(Captions, OfAMissingImageAreAnErrorUnlessNoneIsNeeded) {
  write("captions.tsv", kHeader + "train\tgone.jpg\tA dog\n");
  const Problem problem = problem_of<IoError>([&] { read(); });
  EXPECT_TRUE(has(problem.message, "captions.tsv, line 2"));
  EXPECT_TRUE(has(problem.message, "images/gone.jpg"));
  EXPECT_TRUE(has(problem.hint, "put the image there"));
  EXPECT_EQ(read({.without_images = true})[CaptionSplit::kTrain].size(), 1U);
}

Json karpathy_image(const std::string& name, const std::string& split) {
  return {{"filename", name},
          {"imgid", 0},
          {"split", split},
          {"sentences", {{{"raw", "A dog ."}, {"tokens", {"a", "dog"}}}, {{"raw", "Dogs"}}}}};
}

TEST_F(Captions, OfKarpathysFile) {
  write_images({"images/val2014/a.jpg", "b.jpg"});
  Json coco = karpathy_image("a.jpg", "restval");
  coco["filepath"] = "val2014";
  coco["cocoid"] = 391895;
  write("dataset_coco.json",
        Json({{"images", {coco, karpathy_image("b.jpg", "val")}}, {"dataset", "coco"}}).dump());
  const CaptionData data = read();
  EXPECT_EQ(data[CaptionSplit::kTrain].at(0).id, "391895");
  EXPECT_EQ(data[CaptionSplit::kTrain][0].path, folder_ / "images/val2014/a.jpg");
  EXPECT_EQ(data[CaptionSplit::kTrain][0].captions, (std::vector<std::string>{"A dog .", "Dogs"}));
  EXPECT_EQ(data[CaptionSplit::kValidation].at(0).id, "b.jpg");
  EXPECT_TRUE(data[CaptionSplit::kTest].empty());
}

TEST_F(Captions, OfKarpathysDamagedFileNameTheEntry) {
  write_images({"images/a.jpg"});
  const auto expect = [&](const Json& json, const std::vector<std::string>& parts) {
    write("dataset.json", json.dump());
    expect_problem(parts);
  };
  const Json good = karpathy_image("a.jpg", "train");
  const auto with = [&](const char* key, const Json& value) {
    Json changed = good;
    changed[key] = value;
    return Json({{"images", {changed}}});
  };
  write("dataset.json", "{\"images\": [");
  expect_problem({"dataset.json is not JSON", "byte"});
  expect(Json::array(), {"no list \"images\""});
  expect({{"images", 3}}, {"no list \"images\""});
  expect({{"images", Json::array()}}, {"holds no images"});
  expect({{"images", {good, 7}}}, {"images[1]", "object"});
  expect(with("split", "all"), {"images[0]", "no split \"all\""});
  expect(with("split", 1), {"images[0].split", "wrong type"});
  expect(with("sentences", Json::array()), {"a.jpg has no caption"});
  expect(with("sentences", "dog"), {"images[0].sentences", "no list"});
  expect(with("sentences", {{{"raw", "dog"}}, {{"raw", ""}}}),
         {"images[0].sentences[1]", "has no word"});
  expect(with("sentences", {{{"text", "dog"}}}), {"images[0].sentences[0].raw is missing"});
  write("dataset_b.json", "{}");
  expect_problem({"dataset.json", "dataset_b.json"});
}

Json coco_file(const std::vector<Json>& annotations) {
  return {{"images", {{{"id", 7}, {"file_name", "000000000007.jpg"}}}},
          {"annotations", annotations}};
}

TEST_F(Captions, OfCoco) {
  write_images({"train2017/000000000007.jpg", "images/000000000007.jpg"});
  write("annotations/captions_train2017.json",
        coco_file({{{"image_id", 7}, {"id", 1}, {"caption", "A dog."}},
                   {{"image_id", 7}, {"caption", "Dogs"}}})
            .dump());
  Json validation = coco_file({{{"image_id", 8}, {"caption", "A cat"}}});
  validation["images"][0]["id"] = 8;
  write("annotations/captions_val2017.json", validation.dump());
  const CaptionData data = read();
  EXPECT_EQ(data[CaptionSplit::kTrain].at(0).id, "7");
  EXPECT_EQ(data[CaptionSplit::kTrain][0].path, folder_ / "train2017/000000000007.jpg");
  EXPECT_EQ(data[CaptionSplit::kTrain][0].captions, (std::vector<std::string>{"A dog.", "Dogs"}));
  EXPECT_EQ(data[CaptionSplit::kValidation].at(0).path, folder_ / "images/000000000007.jpg");
}

TEST_F(Captions, OfDamagedCocoNameTheEntry) {
  write_images({"images/000000000007.jpg"});
  const auto expect = [&](const Json& json, const std::vector<std::string>& parts) {
    write("annotations/captions_val2014.json", json.dump());
    expect_problem(parts);
  };
  const Json good = {{"image_id", 7}, {"caption", "A dog"}};
  expect(coco_file({good, {{"image_id", 9}, {"caption", "A cat"}}}),
         {"annotations[1] is of image 9"});
  expect(coco_file({good, {{"image_id", 7}, {"caption", "!"}}}), {"annotations[1]", "has no word"});
  expect(coco_file({{{"image_id", 7.5}, {"caption", "A dog"}}}),
         {"annotations[0].image_id", "wrong type"});
  expect(coco_file({}), {"image 7 has no caption"});
  expect({{"images", Json::array()}}, {"no list \"annotations\""});
  Json elsewhere = coco_file({good});
  elsewhere["images"][0]["file_name"] = "gone.jpg";
  write("annotations/captions_val2014.json", elsewhere.dump());
  EXPECT_TRUE(has(problem_of<IoError>([&] { read(); }).message, "val2014/gone.jpg"));
}

TEST_F(Captions, OfAnEmptyFolderAreAnErrorThatShowsTheLayouts) {
  const Problem problem = problem_of<FormatError>([&] { read(); });
  EXPECT_TRUE(has(problem.message, "holds no captions"));
  EXPECT_TRUE(has(problem.hint, "captions.tsv"));
  EXPECT_THROW(read_captions(folder_ / "nothing"), IoError);
}

TEST_F(Captions, OfFlickr8k) {
  const auto folder = shared_folder() / "data/flickr8k";
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "needs " << folder << ": set STRIATE_SHARED";
  const CaptionData data = read_captions(folder);
  EXPECT_EQ(data[CaptionSplit::kTrain].size(), 1300U);
  EXPECT_EQ(data[CaptionSplit::kValidation].size(), 200U);
  EXPECT_EQ(data[CaptionSplit::kTest].size(), 200U);
  for (const CaptionedImage& image : data[CaptionSplit::kTest])
    EXPECT_EQ(image.captions.size(), 5U);
}

}  // namespace
}  // namespace striate
