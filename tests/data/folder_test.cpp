#include <gtest/gtest.h>

#include "data/made_data.h"
#include "striate/base/file.h"
#include "striate/image/codec.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

Image flat_image(const ImageSize& size, std::vector<uint8_t> color) {
  Image image = make_image(size.width, size.height, static_cast<int64_t>(color.size()));
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = color[i % color.size()];
  return image;
}

class Folder : public testing::Test {
 protected:
  void write(const std::string& name, const std::vector<uint8_t>& bytes) {
    write_file_atomically(folder_ / name, bytes);
  }
  void write_png(const std::string& name) {
    write(name, encode_png(flat_image({5, 4}, {200, 100, 50})));
  }
  std::unique_ptr<Dataset> open(Split split) {
    return open_dataset("folder:" + folder_.path().string(), split);
  }

  TemporaryFolder folder_;
};

TEST_F(Folder, ReadsJpegAndPngOfAnySizeAsRgb) {
  write("train/cat/b.jpeg", encode_jpeg(flat_image({31, 17}, {40, 120, 200}), 95));
  write("train/cat/a.png", encode_png(flat_image({7, 9}, {90})));
  write("train/ape/x.JPG", encode_jpeg(flat_image({16, 16}, {128}), 95));
  const std::unique_ptr<Dataset> data = open(Split::kTrain);
  ASSERT_EQ(data->size(), 3);
  EXPECT_EQ(data->class_names(), (std::vector<std::string>{"ape", "cat"}));

  EXPECT_EQ(data->label(0), 0);
  EXPECT_EQ(data->origin(0), (folder_ / "train/ape/x.JPG").string());
  const Sample grey = data->sample(1);
  EXPECT_EQ(grey.label, 1);
  EXPECT_EQ(grey.image.width, 7);
  EXPECT_EQ(grey.image.height, 9);
  EXPECT_EQ(grey.image.pixels, std::vector<uint8_t>(7 * 9 * 3, 90));
  const Image color = data->sample(2).image;
  EXPECT_EQ(color.width, 31);
  EXPECT_EQ(color.channels, 3);
  EXPECT_NEAR(color.pixels[0], 40, 4);
  EXPECT_NEAR(color.pixels[2], 200, 4);
}

TEST_F(Folder, WithoutSplitsIsBothSplits) {
  write_png("cat/1.png");
  write_png("dog/1.png");
  EXPECT_EQ(open(Split::kTrain)->size(), 2);
  EXPECT_EQ(open(Split::kTest)->size(), 2);
}

TEST_F(Folder, TakesValBeforeTestAsTheTestSplit) {
  write_png("train/cat/1.png");
  write_png("test/cat/1.png");
  EXPECT_EQ(open(Split::kTest)->origin(0), (folder_ / "test/cat/1.png").string());
  write_png("val/cat/1.png");
  EXPECT_EQ(open(Split::kTest)->origin(0), (folder_ / "val/cat/1.png").string());
}

TEST_F(Folder, PassesOverHiddenAndOtherFiles) {
  write_png("train/cat/1.png");
  write_png("train/cat/.hidden.png");
  write_png("train/.cache/1.png");
  write_png("train/loose.png");
  write("train/cat/notes.txt", {'x'});
  const std::unique_ptr<Dataset> data = open(Split::kTrain);
  EXPECT_EQ(data->size(), 1);
  EXPECT_EQ(data->class_names(), std::vector<std::string>{"cat"});
}

TEST_F(Folder, SplitsOfDifferentClassesAreAnError) {
  write_png("train/cat/1.png");
  write_png("train/dog/1.png");
  write_png("val/dog/1.png");
  EXPECT_EQ(open(Split::kTrain)->size(), 2);
  // Here "dog" would otherwise be class 0, which is "cat" in training.
  const Problem problem = problem_of<FormatError>([&] { open(Split::kTest); });
  EXPECT_TRUE(has(problem.message, (folder_ / "val").string()));
  EXPECT_TRUE(has(problem.message, "cat"));
}

TEST_F(Folder, AMissingTestSplitIsAnError) {
  write_png("train/cat/1.png");
  EXPECT_TRUE(has(problem_of<IoError>([&] { open(Split::kTest); }).message, "no val/"));
}

TEST_F(Folder, AnEmptyClassFolderIsNamed) {
  write_png("train/cat/1.png");
  fs::create_directories(folder_ / "train/dog");
  const Problem problem = problem_of<FormatError>([&] { open(Split::kTrain); });
  EXPECT_TRUE(has(problem.message, (folder_ / "train/dog").string()));
  EXPECT_FALSE(problem.hint.empty());
}

TEST_F(Folder, NoClassFoldersIsAnErrorThatShowsTheLayout) {
  const Problem problem = problem_of<FormatError>([&] { open(Split::kTrain); });
  EXPECT_TRUE(has(problem.message, folder_.path().string()));
  EXPECT_TRUE(has(problem.hint, "DIR/CLASS"));
}

TEST_F(Folder, AFileInPlaceOfTheFolderIsAnError) {
  write_png("cat.png");
  EXPECT_THROW(open_dataset("folder:" + (folder_ / "cat.png").string(), Split::kTrain), IoError);
}

TEST_F(Folder, ADamagedImageIsNamed) {
  const std::vector<uint8_t> jpeg = encode_jpeg(flat_image({64, 64}, {1, 2, 3}), 90);
  const std::vector<uint8_t> png = encode_png(flat_image({64, 64}, {1, 2, 3}));
  write("cat/0_empty.png", {});
  write("cat/1_cut.jpg", {jpeg.begin(), jpeg.begin() + static_cast<int64_t>(jpeg.size() / 2)});
  write("cat/2_cut.png", {png.begin(), png.begin() + static_cast<int64_t>(png.size() / 2)});
  write("cat/3_text.jpg", {'h', 'e', 'l', 'l', 'o'});
  write("cat/4_whole.jpg", jpeg);
  const std::unique_ptr<Dataset> data = open(Split::kTrain);
  ASSERT_EQ(data->size(), 5);
  for (int64_t i = 0; i < 4; ++i) {
    const Problem problem = problem_of<FormatError>([&] { data->sample(i); });
    EXPECT_TRUE(has(problem.message, data->origin(i)));
  }
  EXPECT_EQ(data->sample(4).image.width, 64);
}

TEST_F(Folder, AnImageThatVanishedIsNamed) {
  write_png("cat/1.png");
  const std::unique_ptr<Dataset> data = open(Split::kTrain);
  fs::remove(folder_ / "cat/1.png");
  EXPECT_TRUE(has(problem_of<IoError>([&] { data->sample(0); }).message, data->origin(0)));
}

}  // namespace
}  // namespace striate
