#include "striate/detection/average_precision.h"

#include <cmath>
#include <limits>

#include "detection/detection_reference.h"
#include "shared_folder.h"
#include "striate/detection/detection_results.h"

namespace striate {
namespace {

// Means are summed in another order than in Python.
constexpr double kTolerance = 1e-9;

Box corners(const Json& numbers, size_t first) {
  const double x = numbers[first];
  const double y = numbers[first + 1];
  return {x, y, x + numbers[first + 2].get<double>(), y + numbers[first + 3].get<double>()};
}

struct Case {
  std::vector<AnnotatedImage> images;
  std::vector<std::vector<Detection>> detections;
  int64_t class_count;
};

RunLengthMask rectangle(const Box& box, const ImageSize& size) {
  return polygon_mask({{box.x1, box.y1, box.x2, box.y1, box.x2, box.y2, box.x1, box.y2}}, size);
}

Case case_of(const Json& json) {
  Case made;
  made.class_count = json.at("classes");
  const ImageSize size{json.at("width"), json.at("height")};
  for (int64_t i = 0; i < json.at("images").get<int64_t>(); ++i) {
    made.images.push_back({.id = 7 * (i + 1), .width = size.width, .height = size.height});
  }
  made.detections.resize(made.images.size());
  const auto label = [](const Json& category) { return (category.get<int64_t>() - 1) / 3 - 1; };
  for (const Json& one : json.at("truth")) {
    const Box box = corners(one, 4);
    made.images[one[0].get<int64_t>() / 7 - 1].instances.push_back({.box = box,
                                                                    .label = label(one[1]),
                                                                    .area = one[3],
                                                                    .ignored = one[2] == 1,
                                                                    .mask = rectangle(box, size)});
  }
  for (const Json& one : json.at("found")) {
    const Box box = corners(one, 3);
    made.detections[one[0].get<int64_t>() / 7 - 1].push_back(
        {.box = box, .label = label(one[1]), .score = one[2], .mask = rectangle(box, size)});
  }
  return made;
}

void expect_scores(const CocoScores& scores, const std::vector<double>& expected) {
  const auto named = named_scores(scores);
  ASSERT_EQ(named.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(named[i].second, expected[i], kTolerance) << named[i].first;
  }
}

TEST(AveragePrecision, EqualsPycocotools) {
  for (const Json& json : detection_reference().at("evaluations")) {
    const Case made = case_of(json);
    for (const bool masks : {false, true}) {
      SCOPED_TRACE(json.at("name").get<std::string>() + (masks ? ", masks" : ", boxes"));
      const Json& expected = json.at(masks ? "masks" : "boxes");
      const CocoEvaluation evaluation =
          evaluate_coco(made.images, made.detections,
                        {.class_count = made.class_count,
                         .overlap = masks ? OverlapOf::kMasks : OverlapOf::kBoxes});
      expect_scores(evaluation.all, expected.at("scores"));
      for (int64_t label = 0; label < made.class_count; ++label) {
        EXPECT_NEAR(evaluation.classes[label].ap, expected.at("ap_by_class")[label], kTolerance);
      }
      for (size_t i = 0; i < kCocoRecalls; ++i) {
        EXPECT_NEAR(evaluation.curves[0][0][i], expected.at("curve")[i], kTolerance);
      }
    }
  }
}

TEST(AveragePrecision, OfAHundredImagesOfCoco) {
  const auto folder =
      shared_folder() / "data/coco_eval/review_object_detection_metrics/tests/test_coco_eval";
  if (!std::filesystem::exists(folder)) GTEST_SKIP();
  const DetectionData data =
      read_coco_file(folder / "gts/sampled_gts_bbox_area.json", {.without_images = true});
  const auto& images = images_of(data, DetectionSplit::kTrain);
  const auto detections =
      read_detections(folder / "cocoapi_results.json", images, data.category_ids);
  const CocoEvaluation evaluation =
      evaluate_coco(images, detections, {.class_count = std::ssize(data.class_names)});
  // pycocotools 2.0.11 of the same files.
  expect_scores(evaluation.all,
                {0.5036473243630208, 0.6969727247299577, 0.5716670593726122, 0.593252103002719,
                 0.5579906676111427, 0.48936321019618756, 0.38681277964578054, 0.5936795762842003,
                 0.595352982877607, 0.6547641893777741, 0.6031300236406619, 0.5537444355958507});
}

Case one_image(const std::vector<Instance>& objects, const std::vector<Detection>& detections) {
  return {.images = {{.id = 1, .width = 100, .height = 100, .instances = objects}},
          .detections = {detections},
          .class_count = 1};
}

VocClass voc(const Case& made, VocRule rule) {
  return evaluate_voc(made.images, made.detections, {.class_count = 1, .rule = rule}).classes[0];
}

const Box kLeft{0, 0, 10, 10};
const Box kRight{50, 0, 60, 10};
const Box kNowhere{80, 80, 90, 90};

TEST(VocAveragePrecision, FollowsBothRules) {
  const Case made = one_image({{.box = kLeft}, {.box = kRight}}, {{.box = kLeft, .score = 0.9},
                                                                  {.box = kNowhere, .score = 0.8},
                                                                  {.box = kRight, .score = 0.7}});
  const VocClass result = voc(made, VocRule::kArea);
  EXPECT_EQ(result.recall, (std::vector<double>{0.5, 0.5, 1}));
  EXPECT_EQ(result.precision, (std::vector<double>{1, 0.5, 2.0 / 3}));
  EXPECT_DOUBLE_EQ(result.average_precision, 0.5 * 1 + 0.5 * 2 / 3);
  // Recalls 0 to 0.5 have precision 1, five more 2/3.
  EXPECT_NEAR(voc(made, VocRule::kElevenPoints).average_precision, (6 + 5 * 2.0 / 3) / 11, 1e-15);
}

TEST(VocAveragePrecision, ASecondDetectionOfAnObjectIsWrong) {
  const Case made =
      one_image({{.box = kLeft}}, {{.box = kLeft, .score = 0.5}, {.box = kLeft, .score = 0.9}});
  EXPECT_EQ(voc(made, VocRule::kArea).precision, (std::vector<double>{1, 0.5}));
}

TEST(VocAveragePrecision, DifficultObjectsCountNeitherWay) {
  const Case made = one_image(
      {{.box = kLeft, .ignored = true}, {.box = kRight}},
      {{.box = kLeft, .score = 0.9}, {.box = kLeft, .score = 0.8}, {.box = kRight, .score = 0.7}});
  const VocClass result = voc(made, VocRule::kArea);
  EXPECT_EQ(result.average_precision, 1);
  EXPECT_EQ(result.precision, std::vector<double>{1});
}

TEST(VocAveragePrecision, AnOverlapOfAHalfIsEnough) {
  EXPECT_EQ(voc(one_image({{.box = {0, 0, 10, 10}}}, {{.box = {0, 0, 10, 5}, .score = 1}}),
                VocRule::kArea)
                .average_precision,
            1);
  EXPECT_EQ(voc(one_image({{.box = {0, 0, 10, 10}}}, {{.box = {0, 0, 10, 4.9}, .score = 1}}),
                VocRule::kArea)
                .average_precision,
            0);
}

TEST(VocAveragePrecision, WithoutObjectsIsNone) {
  const Case made = one_image({}, {{.box = kLeft, .score = 1}});
  const VocEvaluation result = evaluate_voc(made.images, made.detections, {.class_count = 1});
  EXPECT_EQ(result.mean_average_precision, -1);
}

TEST(AveragePrecision, RefusesWhatDoesNotFit) {
  Case made = one_image({{.box = kLeft}}, {{.box = kLeft, .score = 1}});
  EXPECT_THROW(evaluate_coco(made.images, {}, {.class_count = 1}), std::invalid_argument);
  EXPECT_THROW(evaluate_coco(made.images, made.detections, {}), std::invalid_argument);
  EXPECT_THROW(
      evaluate_coco(made.images, made.detections, {.class_count = 1, .overlap = OverlapOf::kMasks}),
      std::invalid_argument);
  made.detections[0][0].label = 1;
  EXPECT_THROW(evaluate_coco(made.images, made.detections, {.class_count = 1}),
               std::invalid_argument);
  made.detections[0][0].label = 0;
  made.detections[0][0].score = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(evaluate_coco(made.images, made.detections, {.class_count = 1}),
               std::invalid_argument);
}

}  // namespace
}  // namespace striate
