// Training detectors: by heart, resumed, and what must not break it.
#include "striate/detection/detection_task.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "detection/marked_squares.h"
#include "striate/base/error.h"
#include "striate/training/trainer.h"
#include "training/stopped_run.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

// The smallest network of the registry that takes colours.
const Json kTiny = {{"backbone", "resnet20"},
                    {"maps", {"layer2.2.relu_1", "layer3.2.relu_1"}},
                    {"freeze_up_to", ""},
                    {"pyramid_channels", 16},
                    {"classes", 1},
                    {"min_size", 48},
                    {"max_size", 64},
                    {"size_divisor", 16},
                    {"anchor_sizes", {{8}, {16}, {24}}},
                    {"training_proposals", 40},
                    {"evaluation_proposals", 40},
                    {"regions_per_image", 32},
                    {"head_size", 32},
                    {"mask_channels", 8},
                    {"mask_layers", 2},
                    {"flip_probability", 0.5}};

DetectorOptions tiny_options(bool masks) {
  Json json = kTiny;
  json.erase("flip_probability");
  json["masks"] = masks;
  return detector_options(json, {}, "test");
}

DetectionTarget target(const std::vector<std::array<float, 4>>& boxes, int64_t height,
                       int64_t width) {
  const auto count = static_cast<int64_t>(boxes.size());
  DetectionTarget result{.boxes = at::zeros({count, 4}),
                         .labels = at::zeros({count}, at::kLong),
                         .masks = at::ones({count, height, width}, at::kByte)};
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t side = 0; side < 4; ++side) {
      result.boxes[i][side] = boxes[static_cast<size_t>(i)][static_cast<size_t>(side)];
    }
  }
  return result;
}

void expect_finite_step(Detector& detector, const std::vector<at::Tensor>& images,
                        const std::vector<DetectionTarget>& targets) {
  Random random({3});
  const DetectionLosses losses = detector.losses(images, targets, random);
  ASSERT_TRUE(std::isfinite(losses.total().item<double>()));
  torch::autograd::backward({losses.total()}, {});
  for (const auto& [key, tensor] : detector.tensors()) {
    if (!tensor.requires_grad()) continue;
    ASSERT_TRUE(tensor.grad().defined()) << key;
    EXPECT_TRUE(at::isfinite(tensor.grad()).all().item<bool>()) << key;
  }
}

TEST(DetectorTest, AStepIsFiniteWithoutObjectsWithAPixelAndWithHundreds) {
  at::manual_seed(1);
  Detector detector(tiny_options(true), 1);
  const at::Tensor wide = at::rand({3, 40, 64});
  const at::Tensor square = at::rand({3, 48, 48});
  expect_finite_step(detector, {wide}, {target({}, 40, 64)});
  expect_finite_step(detector, {square}, {target({{7, 9, 8, 10}}, 48, 48)});
  std::vector<std::array<float, 4>> many;
  for (int i = 0; i < 300; ++i) {
    const auto x = static_cast<float>(i % 40);
    const auto y = static_cast<float>(i / 10);
    many.push_back({x, y, x + 8, y + 10});
  }
  expect_finite_step(detector, {wide, square}, {target({}, 40, 64), target(many, 48, 48)});
}

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t pages = 0;
  file >> pages >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

TEST(DetectorTest, FiveHundredStepsKeepTheirMemory) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer keeps freed memory for a while";
#endif
  at::manual_seed(1);
  Detector detector(tiny_options(true), 1);
  Random random({3});
  int64_t before = 0;
  for (int step = 0; step < 500; ++step) {
    if (step == 100) before = resident_bytes();
    const int64_t height = 30 + 7 * (step % 5);
    const at::Tensor image = at::rand({3, height, 48});
    const DetectionTarget objects = target({{5, 5, 25, 29}, {20, 3, 40, 19}}, height, 48);
    torch::autograd::backward({detector.losses({image}, {objects}, random).total()}, {});
    for (const auto& [key, tensor] : detector.tensors()) tensor.mutable_grad().reset();
  }
  ASSERT_GT(before, 0);
  EXPECT_LT(resident_bytes() - before, 16 << 20);
}

TEST(DetectorTest, ImagesOfAllSizesAreDetectedIn) {
  Detector detector(tiny_options(true), 1);
  for (const auto& [height, width] : {std::pair{64, 64}, {1, 1}, {5, 300}, {2000, 3000}}) {
    const FoundObjects found = detector.detect({at::rand({3, height, width})}).front();
    EXPECT_TRUE(at::isfinite(found.boxes).all().item<bool>());
    const auto detections = to_detections(found, {width, height});
    EXPECT_EQ(std::ssize(detections), found.labels.numel());
  }
}

TEST(DetectorTest, NothingFoundIsAResult) {
  DetectorOptions options = tiny_options(true);
  options.score_threshold = 1;
  Detector detector(options, 1);
  const FoundObjects found = detector.detect({at::rand({3, 48, 48})}).front();
  EXPECT_EQ(found.boxes.sizes(), at::IntArrayRef({0, 4}));
  EXPECT_TRUE(to_detections(found, {48, 48}).empty());
}

TEST(DetectorTest, ABatchFindsWhatItsImagesFindAlone) {
  DetectorOptions options = tiny_options(false);
  options.score_threshold = 0.3;
  Detector detector(options, 1);
  at::manual_seed(2);
  const std::vector<at::Tensor> images = {at::rand({3, 48, 48}), at::rand({3, 48, 48})};
  const std::vector<FoundObjects> both = detector.detect(images);
  for (size_t i = 0; i < images.size(); ++i) {
    const FoundObjects alone = detector.detect({images[i]}).front();
    ASSERT_EQ(alone.boxes.sizes(), both[i].boxes.sizes());
    EXPECT_TRUE(at::allclose(alone.boxes, both[i].boxes, 1e-4, 1e-3));
  }
}

TEST(DetectorTest, ProposalsMayComeFromOutside) {
  DetectorOptions options = tiny_options(false);
  options.pyramid_channels = 0;
  options.maps = {"layer3.2.relu_1"};
  options.proposes = false;
  options.align = false;
  options.anchors.sizes.clear();
  Detector detector(options, 1);
  const at::Tensor image = at::rand({3, 48, 48});
  const at::Tensor proposals =
      at::tensor({0.F, 0.F, 20.F, 20.F, 10.F, 8.F, 40.F, 44.F}).view({2, 4});
  Random random({1});
  const DetectionLosses losses =
      detector.losses({image}, {target({{0, 0, 21, 20}}, 48, 48)}, random, {proposals});
  EXPECT_FALSE(losses.objectness.defined());
  EXPECT_TRUE(std::isfinite(losses.total().item<double>()));
  EXPECT_NO_THROW(detector.detect({image}, {proposals}));
  EXPECT_THROW(detector.detect({image}), std::invalid_argument);
  EXPECT_THROW(detector.detect({image}, {proposals.flip(1)}), std::invalid_argument);
  EXPECT_TRUE(detector.detect({}).empty());
  EXPECT_THROW(detector.propose(image), std::invalid_argument);
}

TEST(DetectorTest, WhatCanNotBeTrainedOnIsAnError) {
  Detector detector(tiny_options(false), 1);
  Random random({1});
  const at::Tensor image = at::rand({3, 48, 48});
  EXPECT_THROW(detector.losses({image}, {}, random), std::invalid_argument);
  EXPECT_THROW(detector.losses({image}, {target({{5, 5, 5, 9}}, 48, 48)}, random),
               std::invalid_argument);
  DetectionTarget wrong = target({{5, 5, 9, 9}}, 48, 48);
  wrong.labels.fill_(1);
  EXPECT_THROW(detector.losses({image}, {wrong}, random), std::invalid_argument);
  EXPECT_THROW(detector.detect({at::rand({1, 48, 48})}), ShapeError);
  EXPECT_THROW(detector_options({{"min_size", 0}}, {}, "test"), FormatError);
  EXPECT_THROW(detector_options({{"minsize", 10}}, {}, "test"), FormatError);
  EXPECT_THROW(detector_options({{"training_sizes", {64, 0}}}, {}, "test"), FormatError);
  EXPECT_THROW(detector_options({{"region_background", 0.7}}, {}, "test"), FormatError);
  DetectorOptions options = tiny_options(false);
  options.anchors.sizes.pop_back();
  EXPECT_THROW(Detector(options, 1), std::invalid_argument);
  options = tiny_options(false);
  options.maps.back() = "linear";
  EXPECT_THROW(Detector(options, 1), std::invalid_argument);
}

TEST(DetectorTest, SizesOfTrainingAreDrawn) {
  DetectorOptions options = tiny_options(false);
  options.training_sizes = {32};
  Detector smaller(options, 1);
  options.training_sizes = {32, 64};
  Detector drawn(options, 1);
  options.training_sizes = {};
  options.min_size = 32;
  Detector fixed(options, 1);
  at::manual_seed(1);
  const at::Tensor image = at::rand({3, 48, 48});
  const auto loss = [&](Detector& detector, uint64_t seed) {
    Random random({seed});
    return detector.losses({image}, {target({{7, 9, 20, 22}}, 48, 48)}, random)
        .classes.item<double>();
  };
  const FoundObjects at_evaluation = smaller.detect({image}).front();
  EXPECT_EQ(loss(drawn, 3), loss(drawn, 3));
  EXPECT_FALSE(at::equal(at_evaluation.boxes, fixed.detect({image}).front().boxes));
  std::set<double> losses;
  for (uint64_t seed = 0; seed < 12; ++seed) losses.insert(loss(drawn, seed));
  EXPECT_GT(losses.size(), 1U);
}

TEST(DetectorTest, EveryEntryHasItsOwnNodes) {
  for (const DetectorEntry& entry : detectors()) {
    const Detector detector(entry.options, std::nullopt);
    EXPECT_FALSE(detector.tensors().empty()) << entry.name;
    const DetectorOptions again = detector_options(to_json(entry.options), {}, entry.name);
    EXPECT_EQ(to_json(again), to_json(entry.options)) << entry.name;
    EXPECT_NO_THROW(
        detection_task_options(named_recipe(entry.recipe).task, entry.options, entry.recipe));
  }
}

class DetectionTaskTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              (std::string("striate_detection_") +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    write_marked_squares(folder_ / "data");
  }
  void TearDown() override { fs::remove_all(folder_); }

  RunConfig config(bool masks) const {
    RunConfig c{.model = masks ? "mask_rcnn_squeezenet1_0_fpn" : "faster_rcnn_squeezenet1_0_fpn",
                .class_names = {"object"},
                .data = "masks:" + (folder_ / "data").string(),
                .recipe = named_recipe("faster-rcnn-small")};
    c.recipe.task = kTiny;
    c.recipe.epochs = 2;
    return c;
  }

  fs::path folder_;
};

TEST_F(DetectionTaskTest, AStoppedRunGoesOnBitForBit) {
  expect_a_stopped_run_goes_on(config(true), make_detection_task, folder_, {1, 4});
}

TEST_F(DetectionTaskTest, ProposalsOfSelectiveSearchAreTrainedOn) {
  RunConfig c = config(false);
  c.recipe.task["proposes"] = false;
  c.recipe.task["align"] = false;
  c.recipe.task["outside_proposals"] = 50;
  expect_a_stopped_run_goes_on(c, make_detection_task, folder_, {2});
}

TEST_F(DetectionTaskTest, LearnsSquaresByHeartAndFindsThem) {
  RunConfig c = config(true);
  c.recipe.epochs = 30;
  c.recipe.optimizer.learning_rate = 0.02;
  Trainer::start(c, {.run = folder_ / "run", .make_task = make_detection_task}).train();
  const auto metrics = read_metrics(folder_ / "run" / "metrics.jsonl");
  EXPECT_LT(metrics.back().train_loss, metrics.front().train_loss * 0.75);
  const NamedDetector detector =
      load_detector(read_weights(folder_ / "run" / "last.safetensors"), "run");
  const DetectionData data = read_detection_data(c.data);
  const std::vector<AnnotatedImage>& images = images_of(data, DetectionSplit::kTrain);
  SearchedProposals none(1);
  const auto found = detect_in(*detector.detector, images, none);
  for (const OverlapOf overlap : {OverlapOf::kBoxes, OverlapOf::kMasks}) {
    EXPECT_GT(evaluate_coco(images, found, {.class_count = 1, .overlap = overlap}).all.ap50, 0.9);
  }
}

TEST_F(DetectionTaskTest, WhatCanNotBeTrainedIsAnError) {
  const auto start = [&](const RunConfig& c) {
    Trainer::start(c, {.run = folder_ / "run", .make_task = make_detection_task});
  };
  RunConfig c = config(false);
  c.class_names = {"square"};
  EXPECT_THROW(start(c), FormatError);
  c = config(false);
  c.recipe.task["flip_probability"] = 2;
  EXPECT_THROW(start(c), FormatError);
  c = config(false);
  c.recipe.task["maps"] = {"layer9"};
  EXPECT_ANY_THROW(start(c));
  c = config(false);
  c.recipe.accumulate = 100;
  EXPECT_THROW(start(c), Error);
}

TEST_F(DetectionTaskTest, ADamagedFileIsAnError) {
  Trainer::start(config(false), {.run = folder_ / "run", .make_task = make_detection_task}).train();
  const Weights good = read_weights(folder_ / "run" / "last.safetensors");
  EXPECT_NO_THROW(load_detector(good, "good"));
  Weights bad = good;
  bad.metadata["striate.detector"] = "{";
  EXPECT_THROW(load_detector(bad, "bad"), FormatError);
  bad = good;
  bad.metadata.erase("striate.detector_classes");
  EXPECT_THROW(load_detector(bad, "bad"), FormatError);
  bad = good;
  bad.tensors.erase("rpn.head.cls_logits.weight");
  EXPECT_THROW(load_detector(bad, "bad"), ShapeError);
  bad.metadata.clear();
  EXPECT_THROW(load_detector(bad, "bad"), LookupError);
}

TEST(DetectorFile, ScoresOfNoClassAreAnError) {
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{}, {0}, {91}, {0, 8}, {1, 8}, {2, 8, 1}}) {
    Weights weights;
    weights.tensors["roi_heads.box_predictor.cls_score.weight"] = at::zeros(shape);
    weights.tensors["backbone.body.layer4.2.bn3.weight"] = at::zeros({1});
    try {
      load_detector(weights, "a.pth");
      FAIL() << "of " << shape.size() << " dimensions";
    } catch (const ShapeError& error) {
      EXPECT_NE(std::string(error.what()).find("cls_score.weight] of a.pth"), std::string::npos);
    }
  }
}

TEST_F(DetectionTaskTest, ALenientRunLeavesWrongObjectsOut) {
  const Image empty = make_image(48, 48, 1);
  write_file_atomically(folder_ / "data/square0/masks/1.png", encode_png(empty));
  RunConfig c = config(true);
  EXPECT_THROW(make_detection_task(c, {}), FormatError);
  c.recipe.task["lenient"] = true;
  const std::unique_ptr<Task> task = make_detection_task(c, {});
  EXPECT_EQ(detector_data_of(*task).dropped, 1);
  c.limit = 5;
  const std::unique_ptr<Task> limited = make_detection_task(c, {});
  EXPECT_EQ(images_of(detector_data_of(*limited), DetectionSplit::kTrain).size(), 5U);
}

}  // namespace
}  // namespace striate
