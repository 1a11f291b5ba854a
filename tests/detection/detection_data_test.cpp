#include "striate/detection/detection_data.h"

#include <algorithm>

#include "data/made_data.h"
#include "shared_folder.h"
#include "striate/base/file.h"
#include "striate/image/codec.h"

namespace striate {
namespace {

int64_t count_instances(const std::vector<AnnotatedImage>& images) {
  int64_t count = 0;
  for (const AnnotatedImage& image : images) count += std::ssize(image.instances);
  return count;
}

class DetectionFolder : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    write_file_atomically(folder_ / name, text);
  }
  void write_picture(const std::string& name, const Image& image) {
    write_file_atomically(folder_ / name, encode_png(image));
  }
  DetectionData read(const std::string& kind, const DetectionDataOptions& options = {}) {
    return read_detection_data(kind + ":" + folder_.path().string(), options);
  }
  void expect_problem(const std::string& kind, const std::vector<std::string>& parts) {
    const Problem problem = problem_of<FormatError>([&] { read(kind); });
    for (const std::string& part : parts) EXPECT_TRUE(has(problem.message, part));
  }

  TemporaryFolder folder_;
};

class CocoData : public DetectionFolder {
 protected:
  void write_file(const std::string& annotations, const std::string& split = "val2017") {
    write("annotations/instances_" + split + ".json",
          R"({"info": {"year": 2017, "list": [1, {"id": "x"}]}, "annotations": [)" + annotations +
              R"(], "licenses": [{"id": 1, "name": "none"}],
    "images": [{"id": 9, "file_name": "a.jpg", "width": 8, "height": 6, "license": 3},
               {"id": 4, "file_name": "b.jpg", "width": 5, "height": 5}],
    "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}]})");
  }
  void write_images() {
    write("val2017/a.jpg", "");
    write("val2017/b.jpg", "");
  }
};

const std::string kDog =
    R"({"id": 1, "image_id": 9, "category_id": 18, "bbox": [1, 2, 3.5, 2], "iscrowd": 0,
        "area": 6.5, "segmentation": [[1, 2, 4, 2, 4, 4]], "keypoints": [1, 2, 2]})";
const std::string kCrowd =
    R"({"id": 2, "image_id": 4, "category_id": 3, "bbox": [0, 0, 2, 5], "iscrowd": 1,
        "segmentation": {"counts": [0, 10, 15], "size": [5, 5]}})";

TEST_F(CocoData, IsRead) {
  write_file(kDog + "," + kCrowd);
  write_images();
  const DetectionData data = read("coco");
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"car", "dog"}));
  EXPECT_EQ(data.category_ids, (std::vector<int64_t>{3, 18}));
  EXPECT_TRUE(images_of(data, DetectionSplit::kTrain).empty());
  const auto& images = images_of(data, DetectionSplit::kValidation);
  ASSERT_EQ(images.size(), 2U);
  EXPECT_EQ(images[0].id, 9);
  EXPECT_EQ(images[0].path, folder_ / "val2017/a.jpg");
  EXPECT_EQ(images[0].width, 8);
  ASSERT_EQ(images[0].instances.size(), 1U);
  const Instance& dog = images[0].instances[0];
  EXPECT_EQ(dog.box, (Box{1, 2, 4.5, 4}));
  EXPECT_EQ(dog.label, 1);
  EXPECT_EQ(dog.area, 6.5);
  EXPECT_FALSE(dog.ignored);
  EXPECT_EQ(dog.mask, polygon_mask({{1, 2, 4, 2, 4, 4}}, {8, 6}));
  const Instance& crowd = images[1].instances.at(0);
  EXPECT_TRUE(crowd.ignored);
  EXPECT_EQ(crowd.label, 0);
  EXPECT_EQ(crowd.area, 10);
  EXPECT_EQ(crowd.mask->counts, (std::vector<uint32_t>{0, 10, 15}));
}

TEST_F(CocoData, TakesMasksAsText) {
  const std::string text = mask_to_string({.height = 5, .width = 5, .counts = {3, 9, 13}});
  write_file(R"({"id": 2, "image_id": 4, "category_id": 3, "bbox": [0, 0, 3, 5],
                 "segmentation": {"size": [5, 5], "counts": ")" +
             text + "\"}}");
  write_images();
  const DetectionData data = read("coco");
  const auto& images = images_of(data, DetectionSplit::kValidation);
  EXPECT_EQ(images[1].instances.at(0).mask->counts, (std::vector<uint32_t>{3, 9, 13}));
  const DetectionData bare = read("coco", {.without_masks = true});
  EXPECT_FALSE(images_of(bare, DetectionSplit::kValidation)[1].instances.at(0).mask);
}

TEST_F(CocoData, FindsImagesInSeveralPlaces) {
  write_file(kDog);
  write("images/a.jpg", "");
  write("b.jpg", "");
  const DetectionData data = read("coco");
  const auto& images = images_of(data, DetectionSplit::kValidation);
  EXPECT_EQ(images[0].path, folder_ / "images/a.jpg");
  EXPECT_EQ(images[1].path, folder_ / "b.jpg");
  std::filesystem::remove(folder_ / "b.jpg");
  const Problem problem = problem_of<IoError>([&] { read("coco"); });
  EXPECT_TRUE(has(problem.message, "b.jpg"));
  EXPECT_EQ(images_of(read("coco", {.without_images = true}), DetectionSplit::kValidation).size(),
            2U);
}

TEST_F(CocoData, WrongObjectsAreNamedOrDropped) {
  write_images();
  const auto expect = [&](const std::string& field, const std::string& problem) {
    write_file(kDog + R"(, {"id": 77, "image_id": 4, "category_id": 3, )" + field + "}");
    expect_problem("coco", {"instances_val2017.json", "annotations[1] (id 77)", problem});
    const DetectionData data = read("coco", {.lenient = true});
    EXPECT_EQ(data.dropped, 1);
    EXPECT_EQ(count_instances(images_of(data, DetectionSplit::kValidation)), 1);
  };
  expect(R"("bbox": [1, 1, 0, 2])", "empty");
  expect(R"("bbox": [1, 1, 2, -2])", "reversed");
  expect(R"("bbox": [3, 1, 4, 2])", "leaves its image of 5x5");
  expect(R"("bbox": [-2, 1, 4, 2])", "leaves its image");
  expect(R"("bbox": [1, 1, 2, 2], "segmentation": [[1, 1, 2, 2]])", "three corners");
  expect(R"("bbox": [1, 1, 2, 2], "segmentation": {"size": [5, 5], "counts": [3]})", "fill");
  expect(R"("bbox": [1, 1, 2, 2], "segmentation": {"size": [5, 6], "counts": [30]})", "size");
  expect(R"("bbox": [1, 1, 2, 2], "segmentation": {"size": [5, 5], "counts": [-1, 26]})", "-1");
}

TEST_F(CocoData, ABoxMayLeaveItsImageByLessThanAPixel) {
  write_images();
  write_file(R"({"id": 1, "image_id": 4, "category_id": 3, "bbox": [-0.5, 0, 6, 5]})");
  const DetectionData data = read("coco");
  EXPECT_EQ(images_of(data, DetectionSplit::kValidation)[1].instances.at(0).box,
            (Box{-0.5, 0, 5.5, 5}));
}

TEST_F(CocoData, DamageIsNamed) {
  write_images();
  const auto expect = [&](const std::string& annotation, const std::vector<std::string>& parts) {
    write_file(annotation);
    expect_problem("coco", parts);
  };
  expect(R"({"image_id": 4, "category_id": 3, "bbox": [1, 1, "2", 2]})",
         {"annotations[0].bbox has the wrong type"});
  expect(R"({"image_id": "4", "category_id": 3, "bbox": [1, 1, 2, 2]})",
         {"annotations[0].image_id has the wrong type"});
  expect(R"({"image_id": 4.5, "category_id": 3, "bbox": [1, 1, 2, 2]})", {"image_id"});
  expect(R"({"image_id": 4, "category_id": 3, "bbox": {"x": 1}})", {"bbox"});
  expect(R"({"image_id": 4, "category_id": 3, "segmentation": [[[1]]]})", {"segmentation"});
  expect(R"({"image_id": 4, "category_id": 3, "bbox": [1, 1, 2]})", {"x, y, width and height"});
  expect(R"({"image_id": 4, "category_id": 3})", {"bbox"});
  expect(R"({"category_id": 3, "bbox": [1, 1, 2, 2]})", {"image_id is missing"});
  expect(R"({"image_id": 5, "category_id": 3, "bbox": [1, 1, 2, 2]})", {"image 5"});
  expect(R"({"image_id": 4, "category_id": 4, "bbox": [1, 1, 2, 2]})", {"category 4"});
  expect("{]", {"not JSON", "byte"});
}

TEST_F(CocoData, FilesWithOtherCategoriesDontFit) {
  write_images();
  write_file(kDog);
  write("annotations/instances_train2017.json",
        R"({"images": [{"id": 1, "file_name": "a.jpg", "width": 8, "height": 6}],
            "categories": [{"id": 3, "name": "car"}]})");
  write("train2017/a.jpg", "");
  expect_problem("coco", {"other categories"});
}

class VocData : public DetectionFolder {
 protected:
  static std::string object(const std::string& name, const std::string& corners,
                            const std::string& more = "") {
    return "<object><name>" + name + "</name>" + more + "<bndbox>" + corners + "</bndbox></object>";
  }
  void write_image(const std::string& name, const std::string& objects) {
    write("Annotations/" + name + ".xml",
          "<annotation><size><width>20</width><height>10</height></size>" + objects +
              "</annotation>");
    write("JPEGImages/" + name + ".jpg", "");
  }
};

const std::string kCorners = "<xmin>1</xmin><ymin>2</ymin><xmax>20</xmax><ymax>2</ymax>";

TEST_F(VocData, IsRead) {
  write_image("b", object("dog", kCorners) + object("cat", kCorners, "<difficult>1</difficult>"));
  write_image("a", "");
  write("ImageSets/Main/train.txt", "b 1\n\n");
  write("ImageSets/Main/test.txt", "a\n");
  const DetectionData data = read("voc");
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"cat", "dog"}));
  const AnnotatedImage& image = images_of(data, DetectionSplit::kTrain).at(0);
  EXPECT_EQ(image.path, folder_ / "JPEGImages/b.jpg");
  EXPECT_EQ(image.width, 20);
  EXPECT_EQ(image.instances.at(0).box, (Box{0, 1, 20, 2}));
  EXPECT_EQ(image.instances[0].area, 20);
  EXPECT_EQ(image.instances[0].label, 1);
  EXPECT_FALSE(image.instances[0].ignored);
  EXPECT_TRUE(image.instances.at(1).ignored);
  EXPECT_TRUE(images_of(data, DetectionSplit::kTest).at(0).instances.empty());
}

TEST_F(VocData, DamageIsNamed) {
  write("ImageSets/Main/train.txt", "b\n");
  const auto expect = [&](const std::string& objects, const std::vector<std::string>& parts) {
    write_image("b", objects);
    expect_problem("voc", parts);
  };
  expect("<object><name>dog</name></object>", {"b.xml: object 1 (dog)", "bndbox"});
  expect(object("dog", "<xmin>one</xmin>"), {"xmin", "\"one\""});
  expect(object("", kCorners), {"object 1", "name"});
  expect(object("dog", kCorners) +
             object("cat", "<xmin>9</xmin><ymin>2</ymin><xmax>3</xmax><ymax>2</ymax>"),
         {"b.xml: object 2 (cat)", "reversed"});
  EXPECT_EQ(read("voc", {.lenient = true}).dropped, 1);
  write("Annotations/b.xml", "<annotation><object></annotation>");
  expect_problem("voc", {"b.xml is no XML", "byte"});
  std::filesystem::remove(folder_ / "Annotations/b.xml");
  EXPECT_TRUE(has(problem_of<IoError>([&] { read("voc"); }).message, "train.txt"));
}

TEST(SharedDetectionData, HoldsBloodCells) {
  const auto folder = shared_folder() / "data/bccd/BCCD";
  if (!std::filesystem::exists(folder)) GTEST_SKIP();
  const DetectionData data = read_detection_data("voc:" + folder.string());
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"Platelets", "RBC", "WBC"}));
  EXPECT_EQ(images_of(data, DetectionSplit::kTrain).size(), 205U);
  EXPECT_EQ(images_of(data, DetectionSplit::kValidation).size(), 87U);
  EXPECT_EQ(images_of(data, DetectionSplit::kTest).size(), 72U);
  int64_t objects = 0;
  for (const auto& images : data.splits) objects += count_instances(images);
  EXPECT_EQ(objects, 4155 + 372 + 361);
}

TEST(SharedDetectionData, HoldsNuclei) {
  const auto folder = shared_folder() / "data/nuclei";
  if (!std::filesystem::exists(folder)) GTEST_SKIP();
  const DetectionData data = read_detection_data("masks:" + folder.string());
  EXPECT_EQ(images_of(data, DetectionSplit::kTrain).size(), 70U);
  EXPECT_EQ(images_of(data, DetectionSplit::kValidation).size(), 10U);
  EXPECT_EQ(images_of(data, DetectionSplit::kTest).size(), 20U);
  int64_t objects = 0;
  for (const auto& images : data.splits) objects += count_instances(images);
  EXPECT_EQ(objects, 1936);
}

class MaskFolders : public DetectionFolder {
 protected:
  static Image mask(int64_t width, int64_t height, const Rectangle& part) {
    Image made = make_image(width, height, 1);
    for (int64_t y = part.y; y < part.y + part.height; ++y) {
      std::fill_n(made.row(y) + part.x, part.width, uint8_t{255});
    }
    return made;
  }
};

TEST_F(MaskFolders, AreRead) {
  for (int i = 0; i < 10; ++i) {
    const std::string name = "n" + std::to_string(i);
    write_picture(name + "/images/" + name + ".png", make_image(9, 7, 3));
    write_picture(name + "/masks/a.png", mask(9, 7, {2, 1, 3, 4}));
  }
  const DetectionData data = read("masks");
  EXPECT_EQ(data.class_names, std::vector<std::string>{"object"});
  EXPECT_EQ(images_of(data, DetectionSplit::kTrain).size(), 7U);
  EXPECT_EQ(images_of(data, DetectionSplit::kValidation).size(), 1U);
  const auto& test = images_of(data, DetectionSplit::kTest);
  ASSERT_EQ(test.size(), 2U);
  EXPECT_EQ(test[0].width, 9);
  const Instance& nucleus = test[0].instances.at(0);
  EXPECT_EQ(nucleus.box, (Box{2, 1, 5, 5}));
  EXPECT_EQ(nucleus.area, 12);
  EXPECT_EQ(mask_area(*nucleus.mask), 12);
}

TEST_F(MaskFolders, WithWrongMasksAreNamed) {
  write_picture("n/images/n.png", make_image(9, 7, 3));
  write_picture("n/masks/a.png", mask(9, 7, {}));
  expect_problem("masks", {"n/masks/a.png", "empty"});
  EXPECT_EQ(read("masks", {.lenient = true}).dropped, 1);
  write_picture("n/masks/a.png", mask(8, 7, {1, 1, 1, 1}));
  expect_problem("masks", {"n/masks/a.png", "8x7", "9x7"});
  write_picture("n/images/m.png", make_image(9, 7, 3));
  expect_problem("masks", {"n/images", "2 PNG"});
}

TEST(DetectionDataSpelling, OfAnotherKindIsRefused) {
  EXPECT_EQ(detection_split("validation"), DetectionSplit::kValidation);
  EXPECT_THROW(detection_split("val"), LookupError);
  EXPECT_THROW(read_detection_data("folder:x"), LookupError);
  EXPECT_THROW(read_detection_data("coco:"), LookupError);
  EXPECT_THROW(read_detection_data("coco:/nowhere"), IoError);
  EXPECT_TRUE(is_detection_data("voc:x"));
  EXPECT_FALSE(is_detection_data("captions:x"));
}

}  // namespace
}  // namespace striate
