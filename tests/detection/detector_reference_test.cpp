// Whole detectors against torchvision's (tests/reference/README.md).
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "models/generated.h"
#include "shared_folder.h"
#include "striate/detection/detector.h"
#include "striate/image/codec.h"

namespace striate {
namespace {

constexpr double kDoubleRounding = 1e-9;    // float64 on both sides, through 50 layers
constexpr double kLossRounding = 1e-6;      // torchvision's labels of anchors are float32
constexpr double kRounding = 1e-3;          // pixels; float32 against float64
constexpr double kTie = 3e-6;               // of scores
constexpr double kGradientRounding = 1e-6;  // float64; norms of gradients

Weights scaled_weights(const Detector& detector) {
  Weights weights;
  for (const auto& [key, tensor] : detector.tensors()) {
    double scale = 1;
    if (key.starts_with("backbone.fpn.inner_blocks")) scale = 0x1p-15;
    if (key.starts_with("rpn.head.bbox_pred")) scale = 0.125;
    if (key.starts_with("roi_heads.box_predictor.bbox_pred")) scale = 0.5;
    weights.tensors[key] = generated(key, tensor.sizes().vec()) * scale;
  }
  return weights;
}

std::unique_ptr<Detector> published(const std::string& name, const Json& changes,
                                    at::ScalarType type) {
  const DetectorOptions options = detector_options(changes, find_detector(name)->options, "test");
  auto detector = std::make_unique<Detector>(options, 1);
  detector->to(type);
  detector->load(scaled_weights(*detector));
  return detector;
}

const Json kSmall = {{"min_size", 160}, {"max_size", 240}};

std::vector<at::Tensor> images() {
  const auto image = [](const char* name, const Shape& shape) {
    return (generated(name, shape).to(at::kDouble) + 2) / 4;
  };
  return {image("input.image", {3, 120, 160}), image("input.other", {3, 150, 90})};
}

std::vector<DetectionTarget> targets() {
  const at::Tensor masks = at::zeros({2, 120, 160}, at::kByte);
  masks[0].slice(0, 47, 100).slice(1, 20, 90).fill_(1);
  masks[1].slice(0, 10, 115).slice(1, 82, 150).fill_(1);
  const at::Tensor boxes = at::tensor({20., 30., 90., 100., 60.5, 10., 150., 115.}).view({2, 4});
  return {{boxes, at::tensor({2, 87}, at::kLong), masks},
          {at::zeros({0, 4}), at::zeros({0}, at::kLong), at::zeros({0, 150, 90}, at::kByte)}};
}

class DetectorReferenceTest : public testing::TestWithParam<const char*> {
 protected:
  bool masks() const { return std::string(GetParam()) == "mask"; }
  std::string name() const { return masks() ? "maskrcnn_resnet50_fpn" : "fasterrcnn_resnet50_fpn"; }
  at::Tensor reference(const std::string& key) const {
    return file().tensors.at(GetParam() + ("/" + key));
  }
  virtual const Weights& file() const {
    static const Weights kFile =
        read_weights(STRIATE_SOURCE_DIR "/tests/reference/detectors.safetensors");
    return kFile;
  }

  void expect_near(const at::Tensor& value, const std::string& key, double tolerance) const {
    const at::Tensor expected = reference(key).to(at::kDouble);
    ASSERT_EQ(value.sizes(), expected.sizes()) << key;
    const double scale = std::max(1.0, expected.abs().max().item<double>());
    EXPECT_LT((value.to(at::kDouble) - expected).abs().max().item<double>(), tolerance * scale)
        << key;
  }

  // Objects whose scores are equal to rounding stand in either order.
  FoundObjects in_order(const FoundObjects& found, const std::string& key) const {
    const at::Tensor scores = reference(key + "scores");
    const at::Tensor boxes = reference(key + "boxes");
    at::Tensor order = at::arange(found.labels.numel(), at::kLong);
    auto* places = order.data_ptr<int64_t>();
    const auto distance = [&](int64_t mine, int64_t theirs) {
      return (found.boxes[mine] - boxes[theirs]).abs().max().item<double>();
    };
    for (int64_t i = 0; i + 1 < std::min(order.numel(), scores.numel()); ++i) {
      const double gap = (scores[i] - scores[i + 1]).item<double>();
      if (gap < kTie && distance(places[i], i) > distance(places[i + 1], i)) {
        std::swap(places[i], places[i + 1]);
      }
    }
    const auto ordered = [&](const at::Tensor& t) {
      return t.defined() ? t.index_select(0, order) : t;
    };
    return {.boxes = ordered(found.boxes),
            .labels = ordered(found.labels),
            .scores = ordered(found.scores),
            .masks = ordered(found.masks)};
  }

  void expect_found(const FoundObjects& all, int64_t image, const ImageSize& size,
                    double tolerance) const {
    const std::string key = std::to_string(image) + "/";
    ASSERT_GT(all.labels.numel(), 10);
    const FoundObjects found = all.boxes.scalar_type() == at::kFloat ? in_order(all, key) : all;
    ASSERT_TRUE(at::equal(found.labels + 1, reference(key + "labels"))) << found.labels;
    expect_near(found.boxes, key + "boxes", tolerance);
    expect_near(found.scores, key + "scores", tolerance);
    if (!masks()) return;
    std::vector<double> sums;
    for (const Detection& detection : to_detections(
             {.boxes = found.boxes, .labels = found.labels, .scores = found.scores, .masks = {}},
             size)) {
      const at::Tensor mask = found.masks[std::ssize(sums)];
      sums.push_back(paste_mask(mask, detection.box, size).sum().item<double>());
    }
    expect_near(at::tensor(sums, at::kDouble), key + "mask_sums", tolerance);
  }
};

TEST_P(DetectorReferenceTest, FindsWhatTorchvisionFindsInTheSameOrder) {
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    const auto detector = published(name(), kSmall, type);
    const std::vector<FoundObjects> found = detector->detect(images());
    const double tolerance = type == at::kDouble ? kDoubleRounding : kRounding;
    expect_found(found[0], 0, {160, 120}, tolerance);
    expect_found(found[1], 1, {90, 150}, tolerance);
    if (!masks()) continue;
    const Box box = to_detections(found[0], {160, 120}).front().box;
    expect_near(paste_mask(found[0].masks[0], box, {160, 120}), "0/mask", kRounding);
  }
}

TEST_P(DetectorReferenceTest, AStepOfTrainingHasTorchvisionsLossesAndGradients) {
  Json changes = kSmall;
  changes["anchors_per_image"] = 1000000;
  changes["regions_per_image"] = 1000000;
  changes["training_proposals"] = 200;
  const auto detector = published(name(), changes, at::kDouble);
  Random random({1});
  const DetectionLosses losses = detector->losses(images(), targets(), random);
  expect_near(losses.objectness, "loss_objectness", kLossRounding);
  expect_near(losses.proposal_boxes, "loss_rpn_box_reg", kDoubleRounding);
  expect_near(losses.classes, "loss_classifier", kDoubleRounding);
  expect_near(losses.boxes, "loss_box_reg", kDoubleRounding);
  if (masks()) expect_near(losses.masks, "loss_mask", kDoubleRounding);
  torch::autograd::backward({losses.total()}, {});
  size_t compared = 0;
  for (const auto& [key, tensor] : detector->tensors()) {
    if (!tensor.requires_grad()) {
      EXPECT_FALSE(file().tensors.contains(GetParam() + ("/gradient/" + key))) << key;
      continue;
    }
    const double expected = reference("gradient/" + key).item<double>();
    const double own = tensor.grad().norm().item<double>();
    EXPECT_NEAR(own, expected, kGradientRounding * std::max(expected, 1e-3)) << key;
    ++compared;
  }
  EXPECT_GT(compared, 60U);
  const std::string whole = "rpn.head.cls_logits.weight";
  for (const auto& [key, tensor] : detector->tensors()) {
    if (key == whole) expect_near(tensor.grad(), "whole/" + whole, kLossRounding);
  }
}

INSTANTIATE_TEST_SUITE_P(All, DetectorReferenceTest, testing::Values("faster", "mask"));

class DetectorPhotosTest : public DetectorReferenceTest {
 protected:
  const Weights& file() const override {
    static const Weights kFile =
        read_weights(STRIATE_SOURCE_DIR "/tests/reference/detectors_photos.safetensors");
    return kFile;
  }
};

TEST_P(DetectorPhotosTest, FindsWhatTorchvisionFindsInPhotos) {
  const std::filesystem::path photos = shared_folder() / "data" / "photos";
  if (!std::filesystem::exists(photos)) GTEST_SKIP() << "no photos";
  int64_t index = 0;
  const auto detector = published(name(), Json::object(), at::kFloat);
  for (const char* file : {"n02051845_pelican.JPEG", "n04461696_tow_truck.JPEG"}) {
    const Image image = read_image(photos / file);
    const std::vector<FoundObjects> found = detector->detect({image_tensor(image)});
    expect_found(found[0], index++, {image.width, image.height}, kRounding);
  }
}

INSTANTIATE_TEST_SUITE_P(All, DetectorPhotosTest, testing::Values("faster", "mask"));

TEST(DetectorKeysTest, OlderFilesHaveTheirKeysRenamed) {
  Weights weights;
  for (const char* key : {"rpn.head.conv.weight", "backbone.fpn.inner_blocks.3.bias",
                          "roi_heads.mask_head.mask_fcn4.weight",
                          "backbone.body.bn1.num_batches_tracked", "roi_heads.box_head.fc6.bias"}) {
    weights.tensors[key] = at::zeros({1});
  }
  std::vector<std::string> keys;
  for (const auto& [key, tensor] : with_newer_keys(weights).tensors) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{
                      "backbone.fpn.inner_blocks.3.0.bias", "roi_heads.box_head.fc6.bias",
                      "roi_heads.mask_head.3.0.weight", "rpn.head.conv.0.0.weight"}));
}

}  // namespace
}  // namespace striate
