// The parts of detectors against torchvision's (tests/reference/README.md).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "models/generated.h"
#include "striate/detection/anchors.h"
#include "striate/detection/box_coding.h"
#include "striate/detection/matching.h"
#include "striate/detection/region_pooling.h"
#include "striate/detection/suppression.h"

namespace striate {
namespace {

constexpr double kRounding = 1e-5;          // float32 against float64
constexpr double kGradientRounding = 1e-4;  // likewise
constexpr double kDoubleRounding = 1e-12;   // float64 on both sides

const Shape kMaps = {2, 5, 9, 11};
const RegionPooling kPooling{.size = Size2(3, 4), .scale = 0.25};

const at::Tensor& reference(const std::string& key) {
  static const Weights kReference =
      read_weights(STRIATE_SOURCE_DIR "/tests/reference/detectors.safetensors");
  return kReference.tensors.at(key);
}

void expect_near(const at::Tensor& value, const std::string& key, double tolerance) {
  const at::Tensor expected = reference(key).to(at::kDouble);
  ASSERT_EQ(value.sizes(), expected.sizes()) << key;
  const double scale = std::max(1.0, expected.abs().max().item<double>());
  EXPECT_LT((value.to(at::kDouble) - expected).abs().max().item<double>(), tolerance * scale)
      << key;
}

template <typename Pool>
void expect_pooled(const Pool& pool, const std::string& key) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const bool wide = type == at::kDouble;
    const at::Tensor maps = generated("input.maps", kMaps).to(type).requires_grad_();
    const at::Tensor y = pool(maps, reference("regions").to(type));
    expect_near(y, key, wide ? kDoubleRounding : kRounding);
    torch::autograd::backward({y}, {generated("input.gradient", y.sizes().vec()).to(type)});
    expect_near(maps.grad(), key + "/gradient", wide ? kDoubleRounding : kGradientRounding);
  }
}

TEST(DetectionPartsTest, RoiAlignAndItsGradientAreTorchvisions) {
  for (const bool aligned : {false, true}) {
    for (const int64_t ratio : {0, 1, 2}) {
      RegionPooling pooling = kPooling;
      pooling.aligned = aligned;
      pooling.sampling_ratio = ratio;
      expect_pooled(
          [&](const auto& maps, const auto& rois) { return roi_align(maps, rois, pooling); },
          "align/" + std::to_string(aligned) + "/" + std::to_string(ratio));
    }
  }
}

TEST(DetectionPartsTest, RoiPoolingAndItsGradientAreTorchvisions) {
  expect_pooled([](const auto& maps, const auto& rois) { return roi_pool(maps, rois, kPooling); },
                "pool");
}

TEST(DetectionPartsTest, GradientsOfRegionsAreFiniteDifferences) {
  const at::Tensor rois = reference("regions").to(at::kDouble);
  for (const bool align : {true, false}) {
    const at::Tensor maps = generated("input.maps", kMaps).to(at::kDouble).requires_grad_();
    const auto value = [&](const at::Tensor& x) {
      const at::Tensor y = align ? roi_align(x, rois, kPooling) : roi_pool(x, rois, kPooling);
      return (y * generated("input.gradient", y.sizes().vec())).sum();
    };
    torch::autograd::backward({value(maps)}, {});
    at::NoGradGuard no_grad;
    constexpr double kStep = 1e-6;
    for (int64_t i = 0; i < maps.numel(); i += 7) {
      at::Tensor moved = maps.detach().clone();
      moved.view(-1)[i] += kStep;
      const double up = value(moved).item<double>();
      moved.view(-1)[i] -= 2 * kStep;
      const double difference = (up - value(moved).item<double>()) / (2 * kStep);
      EXPECT_NEAR(maps.grad().view(-1)[i].item<double>(), difference, 1e-7);
    }
  }
}

TEST(DetectionPartsTest, RegionsGiveTheSameBitsForAnyNumberOfThreads) {
  const at::Tensor rois = reference("regions").to(at::kFloat);
  std::vector<at::Tensor> values;
  for (const int threads : {1, 2}) {
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    const at::Tensor maps = generated("input.many", {2, 64, 9, 11}).requires_grad_();
    const at::Tensor y = roi_align(maps, rois, kPooling);
    torch::autograd::backward({y.square().sum()}, {});
    at::set_num_threads(before);
    values.push_back(at::cat({y.detach().flatten(), maps.grad().flatten()}));
  }
  EXPECT_TRUE(at::equal(values[0], values[1]));
}

TEST(DetectionPartsTest, WhatIsNoRegionIsAnError) {
  const at::Tensor maps = generated("input.maps", kMaps);
  const at::Tensor none = at::zeros({0, 5});
  EXPECT_EQ(roi_align(maps, none, kPooling).sizes(), at::IntArrayRef({0, 5, 3, 4}));
  EXPECT_EQ(roi_pool(maps, none, kPooling).sizes(), at::IntArrayRef({0, 5, 3, 4}));
  EXPECT_THROW(roi_align(maps, at::full({1, 5}, 2.0F), kPooling), std::invalid_argument);
  EXPECT_THROW(roi_align(maps, at::full({1, 5}, std::nanf("")), kPooling), std::invalid_argument);
  EXPECT_ANY_THROW(roi_pool(maps, at::zeros({1, 4}), kPooling));
}

TEST(DetectionPartsTest, CodesOfBoxesAreTorchvisions) {
  const at::Tensor anchors = reference("coding/anchors");
  const at::Tensor codes = encode_boxes(reference("coding/boxes"), anchors, kHeadCode);
  expect_near(codes, "coding/codes", kRounding);
  expect_near(decode_boxes(generated("input.codes", {40, 8}), anchors, kHeadCode), "coding/decoded",
              kRounding);
  const at::Tensor again = decode_boxes(codes, anchors, kHeadCode).squeeze(1);
  EXPECT_LT((again - reference("coding/boxes")).abs().max().item<double>(), 1e-3);
  const at::Tensor far = decode_boxes(at::full({1, 4}, 1e4F),
                                      at::tensor({0.F, 0.F, 1.F, 1.F}).view({1, 4}), kPlainCode);
  EXPECT_TRUE(at::isfinite(far).all().item<bool>());
}

TEST(DetectionPartsTest, AnchorsAreTorchvisions) {
  const Size2 image(100, 131);
  const std::vector<double> ratios = {0.5, 1, 2};
  const at::Tensor anchors =
      at::cat({anchors_of_map(anchors_of_place({32, 45.3}, ratios), Size2(13, 17), image),
               anchors_of_map(anchors_of_place({128}, ratios), Size2(4, 5), image)});
  EXPECT_TRUE(at::equal(anchors, reference("anchors")));
}

TEST(DetectionPartsTest, MatchesAreTorchvisions) {
  for (const bool best : {false, true}) {
    const MatchOptions options{.foreground = 0.5, .background = 0.3, .keep_best = best};
    EXPECT_TRUE(at::equal(match(reference("match/overlaps"), options),
                          reference(best ? "match/1" : "match/0")));
  }
  EXPECT_TRUE(at::equal(match(at::zeros({0, 3}), {}), at::full({3}, kBackground)));
  EXPECT_EQ(match(at::zeros({2, 0}), {.keep_best = true}).numel(), 0);
}

at::Tensor drawn_boxes(int64_t count, uint64_t seed) {
  at::manual_seed(seed);
  const at::Tensor corners = at::rand({count, 2}) * 100;
  return at::cat({corners, corners + 10 + at::rand({count, 2}) * 40}, 1);
}

TEST(DetectionPartsTest, MatchesOfManyBoxesAreThoseOfTheirOverlaps) {
  const at::Tensor objects = drawn_boxes(300, 1);
  const at::Tensor boxes = at::cat({drawn_boxes(5000, 2), objects});
  for (const bool best : {false, true}) {
    const MatchOptions options{.foreground = 0.6, .background = 0.3, .keep_best = best};
    const at::Tensor matched = match_boxes(objects, boxes, options);
    EXPECT_TRUE(at::equal(matched, match(box_overlaps(objects, boxes), options)));
    EXPECT_TRUE((matched >= 0).any().item<bool>());
    EXPECT_TRUE((matched == kBetween).any().item<bool>());
  }
  EXPECT_TRUE(
      at::equal(match_boxes(at::zeros({0, 4}), boxes, {}), at::full({boxes.size(0)}, kBackground)));
}

TEST(DetectionPartsTest, SuppressionIsTorchvisions) {
  const at::Tensor boxes = reference("nms/boxes");
  const at::Tensor scores = reference("nms/scores");
  const at::Tensor groups = at::arange(boxes.size(0)).remainder(3);
  for (const auto& [threshold, name] : {std::pair{0.3, "0.3"}, {0.5, "0.5"}, {0.7, "0.7"}}) {
    EXPECT_TRUE(at::equal(suppress_overlaps(boxes, scores, threshold),
                          reference(std::string("nms/") + name)));
    EXPECT_TRUE(at::equal(suppress_overlaps(boxes.to(at::kDouble), scores, groups, threshold),
                          reference(std::string("nms/groups/") + name)));
  }
  EXPECT_EQ(suppress_overlaps(at::zeros({0, 4}), at::zeros({0}), 0.5).numel(), 0);
  // Of equals the first one stays; empty boxes share nothing.
  const at::Tensor same = at::tensor({0.F, 0.F, 2.F, 2.F}).repeat({3, 1});
  EXPECT_TRUE(at::equal(suppress_overlaps(same, at::ones({3}), 0.5), at::tensor({0}, at::kLong)));
  EXPECT_EQ(suppress_overlaps(at::zeros({2, 4}), at::ones({2}), 0.5).numel(), 2);
}

TEST(DetectionPartsTest, ASampleHasItsSharesAndIsRepeated) {
  at::Tensor labels = at::zeros({1000}, at::kLong);
  labels.slice(0, 0, 300).fill_(2);
  labels.slice(0, 300, 400).fill_(-1);
  const auto draw = [&](uint64_t seed) {
    Random random({seed});
    return draw_balanced(labels, {.count = 256, .positive_share = 0.25}, random);
  };
  const BoxSample sample = draw(1);
  EXPECT_EQ(sample.positive.numel(), 64);
  EXPECT_EQ(sample.negative.numel(), 192);
  EXPECT_TRUE((labels.index_select(0, sample.positive) == 2).all().item<bool>());
  EXPECT_TRUE((labels.index_select(0, sample.negative) == 0).all().item<bool>());
  EXPECT_EQ(std::get<0>(at::_unique(sample.negative)).numel(), 192);
  EXPECT_TRUE(at::equal(draw(1).negative, sample.negative));
  EXPECT_FALSE(at::equal(draw(2).negative, sample.negative));
  labels.fill_(-1);
  EXPECT_EQ(draw(1).negative.numel() + draw(1).positive.numel(), 0);
}

}  // namespace
}  // namespace striate
