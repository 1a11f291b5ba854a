// Detectors by the program: training, evaluation, prediction, anchors and proposals.
#include <algorithm>
#include <tuple>

#include "cli/program.h"
#include "detection/marked_squares.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

class Detectors : public Program {
 protected:
  Detectors() { write_marked_squares(folder_ / "data"); }

  static std::vector<std::string> training(const std::string& data = "masks:data") {
    std::vector<std::string> arguments = {
        "train", "mask_rcnn_squeezenet1_0_fpn", "--data", data, "--out", "run", "--seed", "1"};
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

  static Json category(int id, const std::string& name) { return {{"id", id}, {"name", name}}; }

  // The squares as `coco:data`, the first eight to train on, all of the first category.
  void write_coco(const Json& categories, const Json& more_annotations = Json::array()) {
    for (const auto& [name, begin, end] :
         {std::tuple("train", int64_t{0}, int64_t{8}), {"test", int64_t{8}, kMarkedSquares}}) {
      Json file = {
          {"images", Json::array()}, {"categories", categories}, {"annotations", more_annotations}};
      for (int64_t i = begin; i < end; ++i) {
        const MarkedSquare square = marked_square(i);
        const auto x = square.left;
        const auto y = square.top;
        file["images"].push_back(
            {{"id", 100 + i},
             {"file_name", "square" + std::to_string(i) + "/images/square.png"},
             {"width", square.image.width},
             {"height", square.image.height}});
        file["annotations"].push_back(
            {{"id", i},
             {"image_id", 100 + i},
             {"category_id", categories[0]["id"]},
             {"bbox", {x, y, 20, 20}},
             {"segmentation", {{x, y, x + 20, y, x + 20, y + 20, x, y + 20}}}});
      }
      for (Json& annotation : file["annotations"]) {
        if (!annotation.contains("image_id")) annotation["image_id"] = 100 + begin;
      }
      write_file_atomically(folder_ / ("data/annotations/instances_" + std::string(name) + ".json"),
                            file.dump());
    }
  }

  // What `score` says of a file of results must be what `evaluate` said.
  void expect_scores(const Json& evaluated, const std::string& results,
                     const std::string& instances) {
    for (const std::string metric : {"boxes", "masks"}) {
      SCOPED_TRACE(instances + " " + metric);
      const Json scored =
          json_of({"score", results, instances, "--metric", metric, "--errors", "--json"});
      for (const auto& [name, value] : evaluated[metric].items()) {
        if (!value.is_number()) continue;
        EXPECT_NEAR(scored[name].get<double>(), value.get<double>(), 1e-9) << name;
      }
      EXPECT_EQ(scored["images"], evaluated["images"]);
      for (const auto& [kind, error] : evaluated[metric]["errors"].items()) {
        EXPECT_EQ(scored["errors"][kind]["count"], error["count"]) << kind;
      }
    }
  }
};

TEST_F(Detectors, DataSetsAreDescribed) {
  write_coco({category(7, "square"), category(9, "disc")},
             {{{"id", 99}, {"category_id", 9}, {"bbox", {1, 1, 5, 6}}, {"iscrowd", 1}}});
  const Json report = json_of({"data", "coco:data", "--json"});
  const Json& train = report["splits"]["train"];
  EXPECT_EQ(train["images"], 8);
  EXPECT_EQ(train["width"], Json({48, 64}));
  EXPECT_EQ(train["ignored"], 1);
  EXPECT_EQ(train["masks"], 8);
  EXPECT_EQ(train["classes"], Json({{"square", 8}, {"disc", 1}}));
  EXPECT_EQ(report["splits"]["validation"]["images"], 0);
  const std::string text = run({"data", "coco:data"}).out;
  EXPECT_TRUE(has(text, "8 images, 48-64 wide, 40-48 high; 8 masks, ignored objects: 1")) << text;
  EXPECT_EQ(run({"data", "idx:none", "--lenient"}).exit_code, 2);
}

TEST_F(Detectors, ARunLearnsIsMeasuredAndFindsObjects) {
  const Json result = json_of(joined(training(), {"--epochs", "20", "--json"}));
  EXPECT_EQ(result["test"]["images"], 2);
  EXPECT_GT(result["test"]["boxes"]["ap50"].get<double>(), 0.5);
  EXPECT_EQ(result["test"]["masks"]["classes"][0]["name"], "object");
  const std::string page = read_text(folder_ / "run/report.html");
  for (const char* part : {"AP50", "Precision and recall of masks", "object at 0.5",
                           "Errors of boxes", "localization"}) {
    EXPECT_TRUE(has(page, part)) << part;
  }

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

TEST_F(Detectors, ResultsOfAnEvaluationAreScoredAlike) {
  ASSERT_EQ(run(joined(training(), {"--epochs", "12"})).exit_code, 0);
  const std::vector<std::string> evaluate = {"evaluate",   "run",       "--errors",  "--plot",
                                             "curves.svg", "--results", "found.json"};
  const Json own = json_of(joined(evaluate, {"--data", "masks:data", "--json"}));
  EXPECT_EQ(own["results"], "found.json");
  ASSERT_FALSE(read_json(folder_ / "found.json").empty());
  expect_scores(own, "found.json", "masks:data");
  EXPECT_TRUE(has(read_text(folder_ / "curves.svg"), "recall of masks"));

  write_coco(Json::array({category(7, "object")}));
  const Json coco = json_of(joined(evaluate, {"--data", "coco:data", "--json"}));
  EXPECT_EQ(coco["images"], 4);
  EXPECT_EQ(read_json(folder_ / "found.json")[0]["category_id"], 7);
  expect_scores(coco, "found.json", "coco:data");
  expect_scores(coco, "found.json", "data/annotations/instances_test.json");
  for (const std::vector<std::string>& asked :
       {joined(evaluate, {"--data", "coco:data"}),
        {"score", "found.json", "coco:data", "--metric", "boxes"}}) {
    expect_failure(joined(asked, {"--split", "validation"}), 1,
                   {"coco:data", "validation", "another one with --split"});
  }
  expect_failure({"score", "found.json", "coco:data", "--metric", "boxes", "--split", "train"}, 1,
                 {"found.json: [0]", "not in the data set"});

  const Outcome text = run(joined(evaluate, {"--data", "coco:data"}));
  for (const char* part : {"Errors of masks", "missed", "plot curves.svg", "results found.json"}) {
    EXPECT_TRUE(has(text.out, part)) << part << text.err;
  }
}

TEST_F(Detectors, WrongObjectsAreLeftOutWhereARunIsLenient) {
  const Json empty = {{"id", 99}, {"category_id", 7}, {"bbox", {3, 4, 0, 9}}};
  write_coco(Json::array({category(7, "square")}), Json::array({empty}));
  const std::vector<std::string> quick = joined(training("coco:data"), {"--epochs", "1"});
  expect_failure(quick, 1, {"(id 99) has an empty box", "--lenient"});
  const Outcome trained = run(joined(quick, {"--lenient", "--json"}));
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_TRUE(has(trained.err, "2 objects with a wrong box are left out")) << trained.err;
  EXPECT_EQ(Json::parse(trained.out)["test"]["dropped_objects"], 2);
  EXPECT_EQ(read_json(folder_ / "run/recipe.json")["recipe"]["task"]["lenient"], true);
  expect_failure({"train", "--resume", "run", "--lenient"}, 2, {"--resume"});
  EXPECT_TRUE(has(run({"train", "--resume", "run"}).out, "2 wrong objects left out"));
  expect_failure({"evaluate", "run", "--data", "coco:data"}, 1, {"(id 99)", "--lenient"});
  EXPECT_TRUE(
      has(run({"evaluate", "run", "--data", "coco:data", "--lenient"}).out, "2 wrong objects"));
  expect_failure({"bench", "proposals", "coco:data"}, 1, {"(id 99)", "--lenient"});
  EXPECT_EQ(json_of({"bench", "proposals", "coco:data", "--lenient", "--limit", "1",
                     "--json"})["dropped_objects"],
            2);
}

TEST_F(Detectors, ClassesThatAreCalledByNumbersAreCocosCategories) {
  write_coco(Json::array({category(7, "7"), category(9, "9")}));
  ASSERT_EQ(run(joined(training("coco:data"), {"--epochs", "1"})).exit_code, 0);
  const std::vector<std::string> evaluate = {"evaluate",  "run",        "--data", "coco:data",
                                             "--results", "found.json", "--json"};
  const Json same = json_of(evaluate);
  const auto count = [&](int category) {
    const Json found = read_json(folder_ / "found.json");
    return std::ranges::count_if(found,
                                 [&](const Json& one) { return one["category_id"] == category; });
  };
  const auto sevens = count(7);
  EXPECT_GT(count(9), 0);

  write_coco(Json::array({category(7, "square")}));
  const Outcome named = run(evaluate);
  EXPECT_TRUE(has(named.err, "run calls its classes by numbers")) << named.err;
  const Json report = Json::parse(named.out);
  EXPECT_EQ(report["boxes"]["ap"], same["boxes"]["ap"]);
  EXPECT_EQ(report["boxes"]["classes"].size(), 1U);
  EXPECT_EQ(count(7), sevens);
  EXPECT_EQ(count(9), 0);

  write_coco(Json::array({category(8, "square")}));
  expect_failure(evaluate, 1, {"other classes"});
  expect_failure({"evaluate", "run", "--data", "masks:data"}, 1, {"other classes"});
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
  expect_failure({"train", "lenet5", "--data", "masks:data", "--lenient"}, 2, {"--lenient"});
  expect_failure({"train", "char_rnn", "--data", "text:a", "--lenient"}, 2, {"--lenient"});
  write_weights("lenet5", "lenet5.safetensors");
  expect_failure({"evaluate", "lenet5.safetensors", "--data", "masks:data", "--errors"}, 2,
                 {"--errors", "classes of images"});
}

}  // namespace
}  // namespace striate
