#include "striate/detection/rcnn.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/detection/box_coding.h"

namespace striate {
namespace {

constexpr int64_t kSide = 64;

RcnnOptions small_options() {
  return {.backbone = "squeezenet1_0",
          .node = "features.3.concat",
          .classes = 2,
          .region_size = 64,
          .context = 4,
          .grid = 2,
          .svm_cost = 1e-2};
}

// A picture of one light disc (class 0) or square frame (class 1) on noise.
struct Scene {
  at::Tensor image;
  at::Tensor box;  // (1, 4)
  int64_t label = 0;
};

Scene scene(int64_t number) {
  Random random({7, static_cast<uint64_t>(number)});
  Scene s{.image = at::empty({3, kSide, kSide}), .box = {}, .label = number % 2};
  const int64_t size = 16 + random.below(12);
  const int64_t x = random.below(kSide - size);
  const int64_t y = random.below(kSide - size);
  auto pixels = s.image.accessor<float, 3>();
  for (int64_t row = 0; row < kSide; ++row) {
    for (int64_t column = 0; column < kSide; ++column) {
      const int64_t from =
          std::min({column - x, row - y, x + size - 1 - column, y + size - 1 - row});
      const double dx = static_cast<double>(column - x) - static_cast<double>(size - 1) / 2;
      const double dy = static_cast<double>(row - y) - static_cast<double>(size - 1) / 2;
      const bool disc = dx * dx + dy * dy < static_cast<double>(size * size) / 4;
      const bool frame = from >= 0 && from < 4;
      const double light = (s.label == 0 ? disc : frame) ? 0.9 : 0.2;
      for (int64_t c = 0; c < 3; ++c) {
        pixels[c][row][column] = static_cast<float>(light + random.uniform(-0.05, 0.05));
      }
    }
  }
  const auto left = static_cast<float>(x);
  const auto top = static_cast<float>(y);
  const auto length = static_cast<float>(size);
  s.box = at::tensor({left, top, left + length, top + length}).view({1, 4});
  return s;
}

// Boxes of all sizes everywhere, and some close to the object.
at::Tensor proposals(const Scene& scene, int64_t number) {
  Random random({11, static_cast<uint64_t>(number)});
  std::vector<Box> boxes;
  for (int64_t i = 0; i < 30; ++i) {
    const double size = random.uniform(10, 30);
    const double x = random.uniform(0, kSide - size);
    const double y = random.uniform(0, kSide - size);
    boxes.push_back({x, y, x + size, y + size});
  }
  const auto* object = scene.box.const_data_ptr<float>();
  for (int64_t i = 0; i < 10; ++i) {
    boxes.push_back({object[0] + random.uniform(-3, 3), object[1] + random.uniform(-3, 3),
                     object[2] + random.uniform(-3, 3), object[3] + random.uniform(-3, 3)});
  }
  return box_tensor(boxes);
}

RcnnExample example_of(Rcnn& rcnn, int64_t number) {
  const Scene s = scene(number);
  const at::Tensor regions = at::cat({s.box, proposals(s, number)});
  return {.features = rcnn.features(s.image, regions),
          .regions = regions,
          .boxes = s.box,
          .labels = at::full({1}, s.label, at::kLong)};
}

TEST(Rcnn, FindsWhatItWasFittedOn) {
  Rcnn rcnn(small_options(), 1);
  std::vector<RcnnExample> examples;
  for (int64_t i = 0; i < 24; ++i) examples.push_back(example_of(rcnn, i));
  EXPECT_DOUBLE_EQ(rcnn.hinge_loss(examples[0]), 1);  // as all machines start at 0
  rcnn.fit(
      24, [&](int64_t i) { return examples[static_cast<size_t>(i)]; }, 1);
  EXPECT_LT(rcnn.hinge_loss(examples[0]), 0.5);
  int64_t right = 0;
  for (int64_t number = 100; number < 110; ++number) {
    const Scene s = scene(number);
    const at::Tensor regions = proposals(s, number);
    const FoundObjects found =
        rcnn.detect(rcnn.features(s.image, regions), regions, {kSide, kSide});
    ASSERT_GT(found.boxes.size(0), 0);
    const double overlap = box_overlaps(found.boxes.slice(0, 0, 1), s.box).item<double>();
    right += overlap > 0.6 && found.labels[0].item<int64_t>() == s.label ? 1 : 0;
  }
  EXPECT_GE(right, 9);
}

TEST(Rcnn, TheSameSeedFitsTheSameAndLoads) {
  Rcnn a(small_options(), 1);
  Rcnn b(small_options(), 1);
  const auto fit = [&](Rcnn& rcnn) {
    rcnn.fit(
        6, [&](int64_t i) { return example_of(rcnn, i); }, 1);
  };
  fit(a);
  fit(b);
  Weights kept;
  for (size_t i = 0; i < a.tensors().size(); ++i) {
    EXPECT_TRUE(a.tensors()[i].second.equal(b.tensors()[i].second)) << a.tensors()[i].first;
    kept.tensors[a.tensors()[i].first] = a.tensors()[i].second.clone();
  }
  Rcnn loaded(small_options(), 2);
  loaded.load(kept);
  const RcnnExample one = example_of(a, 50);
  EXPECT_TRUE(example_of(loaded, 50).features.equal(one.features));
  EXPECT_EQ(loaded.hinge_loss(one), a.hinge_loss(one));
}

TEST(Rcnn, ARegionIsWarpedWithItsSurroundings) {
  RcnnOptions options = small_options();
  options.context = 0;
  Rcnn without(options, 1);
  options.context = 8;
  Rcnn with(options, 1);
  const Scene s = scene(3);
  // 64 pixels of which 8 on each side lie around: a box of 48 sees the whole image.
  const at::Tensor inner = at::tensor({8.0F, 8.0F, 56.0F, 56.0F}).view({1, 4});
  const at::Tensor whole = at::tensor({0.0F, 0.0F, 64.0F, 64.0F}).view({1, 4});
  EXPECT_TRUE(with.features(s.image, inner).allclose(without.features(s.image, whole), 1e-5, 1e-6));
}

TEST(Rcnn, NoRegionIsNoDetection) {
  Rcnn rcnn(small_options(), 1);
  const at::Tensor none = at::empty({0, 4});
  const at::Tensor features = rcnn.features(at::zeros({3, 20, 30}), none);
  EXPECT_EQ(features.size(0), 0);
  EXPECT_EQ(rcnn.detect(features, none, {30, 20}).boxes.size(0), 0);
}

RcnnOptions read(const Json& json) {
  JsonReader reader(json, "recipe");
  const RcnnOptions options = read_rcnn_options(reader, small_options());
  reader.finish();
  return options;
}

TEST(Rcnn, OptionsAreCheckedAndKept) {
  const RcnnOptions options = small_options();
  EXPECT_EQ(to_json(read(to_json(options))), to_json(options));
  EXPECT_THROW(read(Json{{"context", 40}, {"region_size", 64}}), FormatError);
  EXPECT_THROW(read(Json{{"grid", 0}}), FormatError);
  EXPECT_THROW(read(Json{{"svm_cost", 0}}), FormatError);
  EXPECT_THROW(read(Json{{"box_overlap", 2}}), FormatError);
  EXPECT_THROW(read(Json{{"boxes", 2}}), FormatError);
  EXPECT_THROW(Rcnn({.backbone = "squeezenet1_0", .node = "nowhere", .classes = 1}, 1),
               LookupError);
}

TEST(Rcnn, AClassWithoutObjectsIsRefused) {
  Rcnn rcnn(small_options(), 1);
  EXPECT_THROW(rcnn.fit(
                   1, [&](int64_t) { return example_of(rcnn, 0); }, 1),
               std::invalid_argument);
}

}  // namespace
}  // namespace striate
