// Detectors by the program: training, evaluation, prediction, anchors and proposals.
#include "cli/program.h"
#include "detection/marked_squares.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

class Detectors : public Program {
 protected:
  Detectors() { write_marked_squares(folder_ / "data"); }

  static std::vector<std::string> training() {
    std::vector<std::string> arguments = {
        "train", "mask_rcnn_squeezenet1_0_fpn", "--data", "masks:data", "--out", "run", "--seed",
        "1"};
    for (const char* setting :
         {"task.backbone=resnet20", R"(task.maps=["layer2.2.relu_1","layer3.2.relu_1"])",
          "task.freeze_up_to=", "task.pyramid_channels=16", "task.min_size=48", "task.max_size=64",
          "task.size_divisor=16", "task.anchor_sizes=[[8],[16],[24]]", "task.training_proposals=40",
          "task.evaluation_proposals=40", "task.regions_per_image=32", "task.head_size=32",
          "task.mask_channels=8", "task.mask_layers=2", "optimizer.learning_rate=0.02"}) {
      arguments.insert(arguments.end(), {"--set", setting});
    }
    return arguments;
  }
};

TEST_F(Detectors, ARunLearnsIsMeasuredAndFindsObjects) {
  const Json result = json_of(joined(training(), {"--epochs", "20", "--json"}));
  EXPECT_EQ(result["test"]["images"], 2);
  EXPECT_GT(result["test"]["boxes"]["ap50"].get<double>(), 0.5);
  EXPECT_TRUE(result["test"]["masks"]["classes"].contains("object"));
  EXPECT_TRUE(has(read_text(folder_ / "run/report.html"), "AP50"));

  const Json measured = json_of({"evaluate", "run", "--data", "masks:data", "--json"});
  EXPECT_EQ(measured["masks"]["ap"], result["test"]["masks"]["ap"]);
  EXPECT_TRUE(
      has(run({"evaluate", "run", "--data", "masks:data", "--split", "train"}).out, "AP50"));

  const std::string image = "data/square0/images/square.png";
  const Json found = json_of({"predict", "run", image, "--score", "0", "--out", "found", "--json"});
  ASSERT_FALSE(found[0]["detections"].empty());
  EXPECT_EQ(found[0]["detections"][0]["class"], "object");
  EXPECT_EQ(found[0]["detections"][0]["box"].size(), 4U);
  EXPECT_EQ(found[0]["detections"][0]["mask"]["size"], Json({48, 48}));
  EXPECT_TRUE(fs::exists(folder_ / "found/found-square.png"));
  const Outcome nothing = run({"predict", "run", image, "--score", "1"});
  EXPECT_EQ(nothing.exit_code, 0) << nothing.err;
  EXPECT_TRUE(has(nothing.out, "nothing"));

  const Json anchors = json_of({"look", "anchors", "run", image, "--out", "looks", "--json"});
  EXPECT_EQ(anchors["files"][0]["boxes"].size(), 9U);
  const Json proposals =
      json_of({"look", "proposals", "run", image, "--out", "looks", "--count", "3", "--json"});
  EXPECT_EQ(proposals["files"][0]["boxes"].size(), 3U);
  EXPECT_TRUE(fs::exists(folder_ / "looks/proposals-square.png"));
}

TEST_F(Detectors, WhatCanNotBeDoneIsAnError) {
  expect_failure({"train", "faster_rcnn_squeezenet1_0", "--out", "run"}, 2, {"--data"});
  expect_failure({"train", "faster_rcnn_squeezenet1_0", "--data", "masks:nowhere", "--out", "run"},
                 1, {});
  expect_failure({"train", "faster_rcnn_squeezenet1_0", "--data", "masks:data", "--set",
                  "task.anchors=3", "--out", "run"},
                 2, {"anchors"});
  expect_failure({"train", "faster_rcnn_squeezenet1_0", "--data", "masks:data", "--set",
                  "task.min_size=0", "--out", "run"},
                 2, {"min_size"});
  expect_failure({"train", "faster_rcnn_squeezenet1_0", "--data", "masks:data", "--precision",
                  "bf16", "--out", "run"},
                 2, {"--precision"});
}

}  // namespace
}  // namespace striate
