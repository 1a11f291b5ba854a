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
  EXPECT_TRUE(has(text.out, "0.5050")) << text.err;
  EXPECT_FALSE(has(text.out, "cat"));
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
  EXPECT_TRUE(has(run(lenient).out, "1.0000"));
  expect_failure({"score", "results.json", "instances.json", "--metric", "masks", "--lenient"}, 1,
                 {"results.json", "without a mask", "boxes"});
  expect_failure({"score", "results.json", "a.json", "b.json", "--metric", "boxes"}, 2,
                 {"one file of instances"});
}

}  // namespace
}  // namespace striate
