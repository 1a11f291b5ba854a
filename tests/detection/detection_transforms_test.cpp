#include "striate/detection/detection_transforms.h"

#include <algorithm>
#include <numeric>

#include "data/made_data.h"
#include "striate/base/file.h"
#include "striate/image/codec.h"

namespace striate {
namespace {

DetectionSample sample() {
  DetectionSample made{.image = make_image(4, 2, 3)};
  made.image.row(0)[0] = 200;
  Image bitmap = make_image(4, 2, 1);
  bitmap.row(0)[0] = 1;
  made.instances = {{.box = {0, 0, 1, 1}, .label = 3, .area = 1, .mask = encode_mask(bitmap)}};
  return made;
}

TEST(DetectionTransforms, FlipMovesBoxesAndMasks) {
  const DetectionSample flipped = flip_horizontally(sample());
  EXPECT_EQ(flipped.image.row(0)[9], 200);
  EXPECT_EQ(flipped.instances[0].box, (Box{3, 0, 4, 1}));
  EXPECT_EQ(mask_box(*flipped.instances[0].mask), (Box{3, 0, 4, 1}));
  EXPECT_EQ(flipped.instances[0].label, 3);
}

TEST(DetectionTransforms, ResizeMovesBoxesAndMasks) {
  const DetectionSample resized = resize(sample(), {8, 6});
  EXPECT_EQ(resized.image.width, 8);
  EXPECT_EQ(resized.image.height, 6);
  EXPECT_EQ(resized.instances[0].box, (Box{0, 0, 2, 3}));
  EXPECT_EQ(resized.instances[0].area, 6);
  EXPECT_EQ(mask_box(*resized.instances[0].mask), (Box{0, 0, 2, 3}));
}

TEST(DetectionTransforms, SizesFollowTorchvision) {
  const ResizeLimits limits;
  EXPECT_EQ(limited_size({640, 480}, limits), (ImageSize{1066, 800}));
  EXPECT_EQ(limited_size({480, 640}, limits), (ImageSize{800, 1066}));
  EXPECT_EQ(limited_size({2000, 600}, limits), (ImageSize{1333, 399}));
  EXPECT_EQ(limited_size({427, 640}, limits), (ImageSize{800, 1199}));
  EXPECT_EQ(limited_size({333, 500}, limits), (ImageSize{800, 1201}));
  EXPECT_EQ(limited_size({1000, 37}, limits), (ImageSize{1333, 49}));
  EXPECT_EQ(limited_size({64, 64}, limits), (ImageSize{800, 800}));
  EXPECT_EQ(limited_size({5000, 1}, limits), (ImageSize{1333, 1}));
  EXPECT_THROW(limited_size({0, 4}, limits), std::invalid_argument);
}

TEST(DetectionTransforms, ImagesOfAnotherSizeThanAnnotatedAreRefused) {
  TemporaryFolder folder;
  write_file_atomically(folder / "a.png", encode_png(make_image(4, 2, 3)));
  const auto load = [&](int64_t width) {
    return load_detection_sample({.path = folder / "a.png", .width = width, .height = 2});
  };
  EXPECT_EQ(load(4).image.width, 4);
  const Problem problem = problem_of<FormatError>([&] { load(5); });
  EXPECT_TRUE(has(problem.message, "a.png has 4x2 pixels, and its annotation says 5x2"));
}

std::vector<AnnotatedImage> wide_and_narrow() {
  std::vector<AnnotatedImage> images;
  for (int64_t i = 0; i < 25; ++i) {
    images.push_back({.id = i, .width = i % 3 == 0 ? 20 : 10, .height = 15});
  }
  return images;
}

TEST(GroupedBatches, HoldEachImageOnceWithItsLike) {
  const auto images = wide_and_narrow();
  const auto batches = grouped_batches(images, {.batch_size = 4, .seed = 5});
  std::vector<int64_t> seen;
  for (const auto& batch : batches) {
    EXPECT_LE(batch.size(), 4U);
    for (const int64_t i : batch) {
      EXPECT_EQ(images[i].width, images[batch[0]].width);
      seen.push_back(i);
    }
  }
  EXPECT_LE(std::ranges::count_if(batches, [](const auto& batch) { return batch.size() < 4; }), 2);
  std::ranges::sort(seen);
  std::vector<int64_t> all(images.size());
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(seen, all);
}

TEST(GroupedBatches, DependOnSeedAndEpoch) {
  const auto images = wide_and_narrow();
  const auto batches = [&](uint64_t seed, int64_t epoch) {
    return grouped_batches(images, {.batch_size = 4, .seed = seed, .epoch = epoch});
  };
  EXPECT_EQ(batches(1, 2), batches(1, 2));
  EXPECT_NE(batches(1, 2), batches(1, 3));
  EXPECT_NE(batches(1, 2), batches(2, 2));
  EXPECT_TRUE(grouped_batches({}, {}).empty());
  EXPECT_THROW(grouped_batches(images, {.batch_size = 0}), std::invalid_argument);
  EXPECT_THROW(grouped_batches(images, {.aspect_ratio_edges = {1, 1}}), std::invalid_argument);
}

}  // namespace
}  // namespace striate
