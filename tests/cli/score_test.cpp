// Scores of detections.

#include "cli/program.h"
#include "striate/base/file.h"

namespace striate {
namespace {

class DetectionScores : public Program {
 protected:
  void write(const std::string& name, const std::string& text) const {
    write_file_atomically(folder_ / name, text);
  }
  void write_instances(const std::string& box) {
    write("instances.json",
          R"({"images": [{"id": 5, "file_name": "a.jpg", "width": 50, "height": 40}],
              "categories": [{"id": 1, "name": "cat"}, {"id": 7, "name": "dog"}],
              "annotations": [
                {"id": 1, "image_id": 5, "category_id": 7, "bbox": [1, 2, 20, 30], "area": 600,
                 "segmentation": [[1, 2, 21, 2, 21, 32, 1, 32]]},
                {"id": 2, "image_id": 5, "category_id": 7, "bbox": )" +
              box + R"(, "area": 100}]})");
  }
  void write_results(int image) {
    write("results.json", R"([{"image_id": )" + std::to_string(image) +
                              R"(, "category_id": 7, "bbox": [1, 2, 20, 30], "score": 0.5}])");
  }
};

TEST_F(DetectionScores, AreCocosAndVocs) {
  write_instances("[30, 5, 10, 10]");
  write_results(5);
  const Json report =
      json_of({"score", "results.json", "instances.json", "--metric", "boxes", "--json"});
  EXPECT_EQ(report["detections"], 1);
  EXPECT_NEAR(report["ap"].get<double>(), 51.0 / 101, 1e-12);
  EXPECT_EQ(report["ap_large"], -1);
  EXPECT_EQ(report["ar100"], 0.5);
  EXPECT_EQ(report["voc_ap50"], 0.5);
  EXPECT_NEAR(report["voc2007_ap50"].get<double>(), 6.0 / 11, 1e-12);
  EXPECT_EQ(report["classes"][0]["ap"], -1);
  EXPECT_EQ(report["classes"][1]["name"], "dog");
  const Outcome text = run({"score", "results.json", "instances.json", "--metric", "boxes"});
  EXPECT_TRUE(has(text.out, "0.505")) << text.err;
  EXPECT_FALSE(has(text.out, "cat"));
  EXPECT_FALSE(has(text.out, "missed"));
}

TEST_F(DetectionScores, TellErrorsAndDrawPrecision) {
  write_instances("[30, 5, 10, 10]");
  write_results(5);
  const std::vector<std::string> score = {"score", "results.json", "instances.json", "--metric",
                                          "boxes", "--errors",     "--plot",         "curves.svg"};
  const Json report = json_of(joined(score, {"--json"}));
  EXPECT_EQ(report["errors"]["missed"]["count"], 1);
  EXPECT_EQ(report["errors"]["background"]["count"], 0);
  EXPECT_NEAR(report["errors"]["missed"]["ap50_gain"].get<double>(), 50.0 / 101, 1e-12);
  EXPECT_EQ(report["plot"], "curves.svg");
  ASSERT_EQ(report["curves"].size(), 2U);  // no cat is there
  const Json& curve = report["curves"][1];
  EXPECT_EQ(curve["name"], "dog");
  EXPECT_EQ(curve["overlap"], 0.75);
  EXPECT_EQ(curve["precision"].size(), 101U);
  EXPECT_NEAR(curve["precision"][50].get<double>(), 1, 1e-12);
  EXPECT_EQ(curve["precision"][51], 0);
  EXPECT_TRUE(has(read_text(folder_ / "curves.svg"), "dog at 0.75"));
  const Outcome text = run(score);
  EXPECT_TRUE(has(text.out, "+0.495")) << text.out << text.err;
  EXPECT_TRUE(has(text.out, "plot curves.svg"));
}

TEST_F(DetectionScores, ManyClassesAreDrawnAsTheirMean) {
  Json instances = {{"images", {{{"id", 1}, {"file_name", "a"}, {"width", 50}, {"height", 50}}}},
                    {"categories", Json::array()},
                    {"annotations", Json::array()}};
  Json results = Json::array();
  for (int id = 1; id <= 7; ++id) {
    instances["categories"].push_back({{"id", id}, {"name", std::to_string(id)}});
    const Json object = {{"image_id", 1}, {"category_id", id}, {"bbox", {5, 5, 10, 10}}};
    instances["annotations"].push_back(object);
    if (id == 7) continue;
    results.push_back(object);
    results.back()["score"] = 0.5;
  }
  write("instances.json", instances.dump());
  write("results.json", results.dump());
  const Json curves = json_of({"score", "results.json", "instances.json", "--metric", "boxes",
                               "--plot", "curves.svg", "--json"})["curves"];
  ASSERT_EQ(curves.size(), 2U);
  EXPECT_EQ(curves[0]["name"], "mean of 7 classes");
  EXPECT_NEAR(curves[0]["precision"][100].get<double>(), 6.0 / 7, 1e-12);
}

TEST_F(DetectionScores, OfWrongFilesAreErrors) {
  write_instances("[30, 5, 0, 10]");
  write_results(6);
  const std::vector<std::string> score = {"score", "results.json", "instances.json", "--metric",
                                          "boxes"};
  expect_failure(score, 1, {"annotations[1] (id 2) has an empty box", "--lenient"});
  std::vector<std::string> lenient = score;
  lenient.push_back("--lenient");
  expect_failure(lenient, 1, {"results.json: [0] is of image 6"});
  write_results(5);
  const Outcome text = run(lenient);
  EXPECT_TRUE(has(text.out, "1.000")) << text.err;
  EXPECT_TRUE(has(text.out, "1 wrong object left out"));
  expect_failure({"score", "results.json", "instances.json", "--metric", "masks", "--lenient"}, 1,
                 {"results.json", "without a mask", "boxes"});
  expect_failure({"score", "results.json", "a.json", "b.json", "--metric", "boxes"}, 2,
                 {"one file of instances"});
  expect_failure({"score", "results.json", "instances.json", "--metric", "bleu", "--errors"}, 2,
                 {"--errors", "bleu"});
}

}  // namespace
}  // namespace striate
