#include "striate/detection/selective_search.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "detection/graph_segmentation.h"
#include "detection/region_grouping.h"
#include "shared_folder.h"
#include "striate/detection/detection_data.h"
#include "striate/image/codec.h"

namespace striate {
namespace {

void paint(Image& image, const Rectangle& part, const std::array<uint8_t, 3>& color) {
  for (int64_t y = part.y; y < part.y + part.height; ++y) {
    for (int64_t x = part.x; x < part.x + part.width; ++x) {
      for (int64_t k = 0; k < image.channels; ++k) {
        image.row(y)[x * image.channels + k] = color[k];
      }
    }
  }
}

// A green and a red rectangle on grey.
Image two_rectangles() {
  Image image = make_image(120, 90, 3);
  paint(image, {0, 0, 120, 90}, {128, 128, 128});
  paint(image, {10, 15, 40, 30}, {20, 180, 30});
  paint(image, {70, 30, 30, 45}, {200, 30, 30});
  return image;
}

double best_overlap(const std::vector<Box>& boxes, const Box& object) {
  double best = 0;
  for (const Box& box : boxes) best = std::max(best, intersection_over_union(box, object));
  return best;
}

TEST(SelectiveSearch, FindsRectangles) {
  for (const auto mode : {SelectiveSearchMode::kFast, SelectiveSearchMode::kQuality}) {
    const auto boxes = selective_search(two_rectangles(), {.mode = mode});
    EXPECT_GT(best_overlap(boxes, {10, 15, 50, 45}), 0.9);
    EXPECT_GT(best_overlap(boxes, {70, 30, 100, 75}), 0.9);
    EXPECT_EQ(best_overlap(boxes, {0, 0, 120, 90}), 1);
  }
}

TEST(SelectiveSearch, GivesEachBoxOnceAndInsideTheImage) {
  const auto boxes = selective_search(two_rectangles());
  for (size_t i = 0; i < boxes.size(); ++i) {
    EXPECT_EQ(std::ranges::count(boxes, boxes[i]), 1);
    EXPECT_GE(std::min(boxes[i].x1, boxes[i].y1), 0);
    EXPECT_LE(boxes[i].x2, 120);
    EXPECT_LE(boxes[i].y2, 90);
    EXPECT_GT(boxes[i].area(), 0);
  }
}

TEST(SelectiveSearch, DependsOnItsSeedAlone) {
  const Image image = two_rectangles();
  EXPECT_EQ(selective_search(image, {.seed = 3}), selective_search(image, {.seed = 3}));
}

TEST(SelectiveSearch, KeepsToItsLimits) {
  const Image image = two_rectangles();
  EXPECT_EQ(selective_search(image, {.max_boxes = 2}).size(), 2U);
  for (const Box& box : selective_search(image, {.min_size = 40})) {
    EXPECT_GE(std::min(box.width(), box.height()), 40);
  }
}

TEST(SelectiveSearch, TakesImagesOfOnePixelAndOneColor) {
  EXPECT_EQ(selective_search(make_image(1, 1, 3)), (std::vector<Box>{{0, 0, 1, 1}}));
  EXPECT_EQ(selective_search(make_image(40, 30, 1)), (std::vector<Box>{{0, 0, 40, 30}}));
  EXPECT_THROW(selective_search({}), std::invalid_argument);
  EXPECT_THROW(selective_search(make_image(2, 2, 3), {.max_boxes = -1}), std::invalid_argument);
  EXPECT_THROW(selective_search(make_image(2, 2, 3), {.smallest_region = -1}),
               std::invalid_argument);
}

TEST(GraphSegmentation, PartsHalvesAndKeepsRamps) {
  FloatPlanes planes{.width = 40, .height = 20};
  planes.channels.emplace_back(800);
  for (int64_t i = 0; i < 800; ++i) planes.channels[0][i] = i % 40 < 20 ? 0.0F : 200.0F;
  const Segmentation halves = GraphSegmenter(planes, 0.5).segment(50, 100);
  EXPECT_EQ(halves.count, 2);
  EXPECT_NE(halves.labels[0], halves.labels[39]);
  EXPECT_EQ(halves.labels[0], halves.labels[19 * 40]);
  for (int64_t i = 0; i < 800; ++i) planes.channels[0][i] = static_cast<float>(5 * (i % 40));
  EXPECT_EQ(GraphSegmenter(planes, 0.5).segment(2000, 1).count, 1);
}

TEST(GraphSegmentation, CornersThatTouchDoNotJoin) {
  // Two white squares that share a corner; black ones fill the rest.
  FloatPlanes planes{.width = 20, .height = 20};
  planes.channels.emplace_back(400);
  for (int64_t i = 0; i < 400; ++i) {
    planes.channels[0][i] = (i % 20 < 10) == (i / 20 < 10) ? 200.0F : 0.0F;
  }
  EXPECT_EQ(GraphSegmenter(planes, 0.01).segment(50, 10).count, 4);
}

TEST(RegionGrouping, OneSharpEdgeDoesNotHideWhereTexturesDiffer) {
  // Weak stripes, nothing, and a single line that is ten times as strong as the stripes.
  FloatPlanes planes{.width = 60, .height = 10};
  planes.channels.emplace_back(600);
  Segmentation segmentation{.labels = std::vector<int32_t>(600), .count = 3};
  for (int64_t i = 0; i < 600; ++i) {
    const int64_t x = i % 60;
    segmentation.labels[i] = static_cast<int32_t>(x / 20);
    planes.channels[0][i] = x < 20 ? (x / 4 % 2 == 0 ? 0.0F : 40.0F) : 0.0F;
  }
  const auto without = RegionMeasurer(planes).measure(segmentation);
  for (int64_t y = 0; y < 10; ++y) planes.channels[0][y * 60 + 50] = 255;
  const auto with = RegionMeasurer(planes).measure(segmentation);
  EXPECT_EQ(with[0].textures, without[0].textures);
  EXPECT_NE(with[2].textures, without[2].textures);
}

TEST(SelectiveSearch, SmallerRegionsGiveMoreBoxes) {
  Image image = two_rectangles();
  paint(image, {20, 25, 6, 6}, {250, 250, 250});  // smaller than 100 pixels
  const Box small{20, 25, 26, 31};
  EXPECT_LT(best_overlap(selective_search(image), small), 0.3);
  EXPECT_GT(best_overlap(selective_search(image, {.smallest_region = 20}), small), 0.6);
}

TEST(RegionGrouping, JoinsWhatIsMostAlikeFirst) {
  // Three stripes: the first two have one colour, but for a dark line between them.
  FloatPlanes planes{.width = 30, .height = 10};
  planes.channels.emplace_back(300);
  Segmentation segmentation{.labels = std::vector<int32_t>(300), .count = 3};
  for (int64_t i = 0; i < 300; ++i) {
    const int64_t stripe = i % 30 / 10;
    planes.channels[0][i] = stripe == 2 ? 250.0F : 100.0F;
    segmentation.labels[i] = static_cast<int32_t>(stripe);
  }
  const auto regions = RegionMeasurer(planes).measure(segmentation);
  EXPECT_EQ(regions[1].neighbours, (std::vector<int32_t>{0, 2}));
  const auto grouped = group_regions(regions, {.color = true}, 300);
  ASSERT_EQ(grouped.size(), 5U);
  EXPECT_EQ(grouped[3].right, 20);
  EXPECT_EQ(grouped[3].size, 200);
  EXPECT_EQ(grouped[4].right, 30);
}

TEST(SelectiveSearch, FindsBloodCells) {
  const auto folder = shared_folder() / "data/bccd/BCCD";
  if (!std::filesystem::exists(folder)) GTEST_SKIP();
  const DetectionData data = read_detection_data("voc:" + folder.string());
  const auto& images = images_of(data, DetectionSplit::kTest);
  int64_t found = 0;
  int64_t objects = 0;
  for (size_t i = 0; i < 4; ++i) {
    const auto boxes = selective_search(read_image(images[i].path));
    for (const Instance& instance : images[i].instances) {
      ++objects;
      if (best_overlap(boxes, instance.box) >= 0.5) ++found;
    }
  }
  EXPECT_GT(found, objects * 7 / 10) << found << " of " << objects;
}

}  // namespace
}  // namespace striate
