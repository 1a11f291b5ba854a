// What striate look writes, and what it says of wrong input.
#include <filesystem>

#include "cli/program.h"
#include "runtime/weight_cases.h"
#include "striate/base/file.h"
#include "striate/image/codec.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

class Look : public Program {
 protected:
  Look() {
    write_data();
    EXPECT_EQ(train("run", {"--snapshots", "1"}).exit_code, 0);
    // A bright bar in the middle: class 1.
    Image image = make_image(28, 28, 3);
    for (int64_t y = 9; y < 18; ++y) std::fill_n(image.row(y) + 12, 60, uint8_t{200});
    write_file_atomically(folder_ / "bar.png", encode_png(image));
  }

  // Every file that a command says it wrote is a picture of the size that it says.
  Json pictures_of(const std::vector<std::string>& arguments) const {
    const Json report = json_of(joined(joined({"look"}, arguments), {"--out", "looks", "--json"}));
    EXPECT_FALSE(report["files"].empty()) << arguments[0];
    for (const Json& file : report["files"]) {
      const Image image = read_image(folder_ / file["file"].get<std::string>());
      EXPECT_EQ(image.width, file["width"].get<int64_t>());
      EXPECT_EQ(image.height, file["height"].get<int64_t>());
    }
    return report;
  }
};

TEST_F(Look, EveryAttributionOfAPictureIsWrittenForTheClassThatIsSeen) {
  for (const std::string method : {"saliency", "smoothgrad", "integrated", "guided", "deconv",
                                   "gradcam", "guided-gradcam", "occlusion"}) {
    const Json report = pictures_of({method, "run", "bar.png"});
    ASSERT_EQ(report["files"].size(), 1U);
    EXPECT_EQ(report["files"][0]["class"], "1") << method;
    EXPECT_GT(report["files"][0]["largest"].get<double>(), 0) << method;
    EXPECT_TRUE(fs::exists(folder_ / ("looks/bar-" + method + ".png")));
  }
  const Json of_class = pictures_of({"saliency", "run", "bar.png", "--class", "2"});
  EXPECT_EQ(of_class["files"][0]["index"], 2);
  const Json of_channel =
      pictures_of({"guided", "run", "bar.png", "--node", "conv2", "--channel", "3"});
  EXPECT_EQ(of_channel["files"][0]["channel"], 3);
}

TEST_F(Look, NodesKernelsAndActivationsOfALayerAreShown) {
  const Json nodes = json_of({"look", "nodes", "run", "--json"});
  EXPECT_EQ(nodes["nodes"][1]["name"], "conv1");
  const Json kernels = pictures_of({"kernels", "run"});
  EXPECT_EQ(kernels["files"].size(), 2U);
  EXPECT_EQ(kernels["statistics"][0]["key"], "conv1.weight");
  pictures_of({"activations", "run", "bar.png", "--node", "conv1"});
  const Json responses =
      pictures_of({"activations", "run", "--data", "idx:data", "--node", "conv2"});
  EXPECT_EQ(responses["files"][0]["channels"].size(), 16U);
}

TEST_F(Look, AscentEndsAtItsClassAndFoolingStaysWithinItsBudget) {
  const Json ascent = pictures_of({"ascend", "run", "--class", "0", "--class", "2"});
  EXPECT_EQ(ascent["files"][0]["seen_as"], "0");
  EXPECT_EQ(ascent["files"][1]["seen_as"], "2");
  EXPECT_GT(ascent["files"][1]["probability"].get<double>(), 0.5);
  const Json pixels = pictures_of({"ascend", "run", "--class", "0", "--method", "pixels"});
  EXPECT_EQ(pixels["files"][0]["seen_as"], "0");
  const Json fooled =
      pictures_of({"fool", "run", "bar.png", "--grey-levels", "120", "--steps", "30"});
  EXPECT_NE(fooled["files"][0]["after"], fooled["files"][0]["before"]);
  EXPECT_LE(fooled["files"][0]["grey_levels"].get<double>(), 120.001);
  const Json inverted = pictures_of({"invert", "run", "bar.png", "--node", "conv1"});
  EXPECT_LT(inverted["files"][0]["error"].get<double>(), 0.2);
  pictures_of({"dream", "run", "bar.png", "--node", "conv1", "--octaves", "2", "--steps", "2"});
}

TEST_F(Look, ADataSetBecomesAMapAndNeighboursAreOfTheSameClass) {
  for (const std::string method : {"tsne", "pca"}) {
    pictures_of({"embed", "run", "--data", "idx:data", "--method", method, "--perplexity", "10"});
    const std::string table = read_text(folder_ / ("looks/embedding-" + method + ".csv"));
    EXPECT_EQ(std::ranges::count(table, '\n'), 61) << method;
  }
  const Json near = pictures_of({"neighbours", "run", "bar.png", "--data", "idx:data"});
  EXPECT_EQ(near["files"][0]["neighbours"][0]["class"], "1");
}

TEST_F(Look, TheReportHoldsTheNetworkThePhotosAndTheTraining) {
  const Outcome outcome =
      run({"look", "report", "run", "bar.png", "--data", "idx:data", "--out", "page"});
  if (has(outcome.err, "Node.js")) GTEST_SKIP() << "this build has no page";
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string page = read_text(folder_ / "page/look.html");
  for (const char* part : {"\"conv1\"", "\"gradcam\"", "\"snapshots\"", "\"embedding\""}) {
    EXPECT_TRUE(has(page, part)) << part;
  }
}

TEST_F(Look, WhatCannotBeLookedAtIsNamed) {
  expect_failure({"look", "saliency", "run", "--out", "o"}, 2, {"nothing to look at"});
  expect_failure({"look", "saliency", "run", "bar.png", "--class", "shoe", "--out", "o"}, 2,
                 {"shoe"});
  expect_failure({"look", "saliency", "run", "bar.png", "--node", "conv9", "--out", "o"}, 2,
                 {"conv9", "conv1"});
  expect_failure({"look", "gradcam", "run", "bar.png", "--layer", "fc1", "--out", "o"}, 1, {"fc1"});
  expect_failure({"look", "kernels", "run", "--node", "relu", "--out", "o"}, 2, {"relu"});
  expect_failure({"look", "ascend", "run", "--out", "o"}, 2, {"nothing to ascend to"});
  expect_failure({"look", "embed", "run", "--out", "o"}, 2, {"--data"});
  expect_failure({"look", "embed", "run", "--data", "idx:data", "--out", "o"}, 2, {"perplexity"});
  expect_failure({"look", "saliency", "run", "missing.png", "--out", "o"}, 1, {"missing.png"});
}

}  // namespace
}  // namespace striate
