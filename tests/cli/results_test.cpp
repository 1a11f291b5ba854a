// What the program finds in data, and what trained weights say of images.
#include <filesystem>
#include <set>

#include "cli/program.h"
#include "runtime/weight_cases.h"
#include "shared_folder.h"
#include "striate/base/file.h"
#include "striate/base/random.h"
#include "striate/image/codec.h"

namespace striate {
namespace {

class Results : public Program {
 protected:
  Results() { write_data(); }
  // An image like those of the class: a bright bar at its place, on noise.
  void write_picture(const std::string& name, int64_t label) const {
    Random random({77});
    Image image = make_image(28, 28, 3);
    for (int64_t y = 0; y < 28; ++y) {
      for (int64_t x = 0; x < 28; ++x) {
        const bool bar = y / 9 == label && x > 3 && x < 24;
        const auto value = static_cast<uint8_t>(random.below(90) + (bar ? 150 : 0));
        for (int64_t c = 0; c < 3; ++c) image.row(y)[3 * x + c] = value;
      }
    }
    write_file_atomically(folder_ / name, encode_png(image));
  }
};

TEST_F(Results, DataCountsImagesAndClasses) {
  const Json report = json_of({"data", "idx:data", "--json"});
  EXPECT_EQ(report["train"]["images"], 300);
  EXPECT_EQ(report["test"]["images"], 60);
  EXPECT_EQ(report["train"]["classes"]["2"], 100);
  EXPECT_EQ(report["train"]["sizes"]["width"], Json::array({28, 28}));
  EXPECT_TRUE(has(run({"data", "idx:data"}).out, "300 images, 28 wide"));
}

TEST_F(Results, ATrainedNetworkIsRightAboutTestImagesAndPictures) {
  ASSERT_EQ(train("run").exit_code, 0);
  const Json folder = json_of({"evaluate", "run", "--data", "idx:data", "--json"});
  const Json& member = folder["members"][0];
  EXPECT_EQ(member["images"], 60);
  EXPECT_GT(member["top1"].get<double>(), 0.9);
  const Json file = json_of({"evaluate", "run/best.safetensors", "--data", "idx:data", "--json"});
  EXPECT_EQ(file["members"][0]["loss"], member["loss"]);
  const Json few = json_of(
      {"evaluate", "run", "--data", "idx:data", "--split", "train", "--limit", "7", "--json"});
  EXPECT_EQ(few["members"][0]["images"], 7);
  EXPECT_TRUE(has(run({"evaluate", "run", "--data", "idx:data"}).out, "(lenet5): top-1"));

  for (int64_t label = 0; label < 3; ++label) {
    write_picture("picture.png", label);
    const Json predicted = json_of({"predict", "run", "picture.png", "--top", "2", "--json"});
    ASSERT_EQ(predicted.size(), 1U);
    EXPECT_EQ(predicted[0]["image"], "picture.png");
    ASSERT_EQ(predicted[0]["top"].size(), 2U);
    EXPECT_EQ(predicted[0]["top"][0]["class"], std::to_string(label));
    EXPECT_GE(predicted[0]["top"][0]["probability"], predicted[0]["top"][1]["probability"]);
  }
  EXPECT_TRUE(has(run({"predict", "run", "picture.png"}).out, "picture.png\n"));
}

TEST_F(Results, APackedDataSetIsEvaluatedAsItsSource) {
  write_weights("lenet5", "lenet.safetensors");
  const Outcome packed = run({"data", "pack", "idx:data", "data.pack"});
  ASSERT_EQ(packed.exit_code, 0) << packed.err;
  EXPECT_EQ(packed.out, "");
  EXPECT_TRUE(has(packed.err, "data.pack: 0.3 MB"));
  const Json counts = json_of({"data", "pack:data.pack", "--json"});
  EXPECT_EQ(counts["train"], json_of({"data", "idx:data", "--json"})["train"]);
  const Json source = json_of({"evaluate", "lenet.safetensors", "--data", "idx:data", "--json"});
  const Json pack =
      json_of({"evaluate", "lenet.safetensors", "--data", "pack:data.pack", "--json"});
  EXPECT_EQ(pack["members"], source["members"]);
  expect_failure({"data", "pack", "idx:data"}, 2, {"file"});
  expect_failure({"data", "pack", "idx:none", "other.pack"}, 1, {"none"});
  expect_failure({"data"}, 2, {"data"});
  write_file_atomically(folder_ / "cut.pack", std::string("STRPACK1"));
  expect_failure({"evaluate", "lenet.safetensors", "--data", "pack:cut.pack"}, 1,
                 {"cut.pack", "striate data pack"});
}

TEST_F(Results, AnEnsembleAveragesTwoRuns) {
  ASSERT_EQ(train("one", {"--epochs", "2", "--seed", "1"}).exit_code, 0);
  ASSERT_EQ(train("two", {"--epochs", "2", "--seed", "2"}).exit_code, 0);
  const Json report = json_of({"evaluate", "one", "two", "--data", "idx:data", "--json"});
  ASSERT_EQ(report["members"].size(), 2U);
  EXPECT_NE(report["members"][0]["loss"], report["members"][1]["loss"]);
  const double best = std::max(report["members"][0]["top1"].get<double>(),
                               report["members"][1]["top1"].get<double>());
  EXPECT_NEAR(report["ensemble"]["gain_over_best"].get<double>(),
              report["ensemble"]["top1"].get<double>() - best, 1e-12);
  // The logarithm is concave: an average loses no more than its members on average.
  EXPECT_LE(report["ensemble"]["loss"].get<double>(), (report["members"][0]["loss"].get<double>() +
                                                       report["members"][1]["loss"].get<double>()) /
                                                              2 +
                                                          1e-6);
  EXPECT_TRUE(has(run({"evaluate", "one", "two", "--data", "idx:data"}).out, "ensemble of 2"));
}

TEST_F(Results, AFractalNetIsEvaluatedByOneColumn) {
  write_weights("fractalnet40", "fractal.safetensors");
  const auto command = [](const std::string& weights, const std::vector<std::string>& more) {
    return joined({"evaluate", weights, "--data", "idx:data", "--limit", "4"}, more);
  };
  std::set<double> losses;
  const auto add_loss = [&](const std::vector<std::string>& more) {
    const Json report = json_of(joined(command("fractal.safetensors", more), {"--json"}));
    losses.insert(report["members"][0]["loss"].get<double>());
    return report;
  };
  EXPECT_FALSE(add_loss({}).contains("column"));
  EXPECT_EQ(add_loss({"--column", "0"})["column"], 0);
  EXPECT_EQ(add_loss({"--column", "3"})["column"], 3);
  EXPECT_EQ(losses.size(), 3U);
  expect_failure(command("fractal.safetensors", {"--column", "4"}), 2, {"no column 4", "0 to 3"});
  write_weights("lenet5", "lenet.safetensors");
  expect_failure(command("lenet.safetensors", {"--column", "0"}), 2, {"lenet5 has no columns"});
}

TEST_F(Results, ATrainedSqueezeNetSeesWhatPhotosShow) {
  namespace fs = std::filesystem;
  const fs::path data = fs::absolute(shared_folder()) / "data";
  const fs::path weights = data / "squeezenet1_0/squeezenet1_0.safetensors";
  const fs::path names = data / "photos/synset_words.txt";
  if (!fs::exists(weights) || !fs::exists(names)) {
    GTEST_SKIP() << "needs " << weights << ": set STRIATE_SHARED";
  }
  std::vector<std::string> command = {"predict", weights.string()};
  for (const fs::directory_entry& entry : fs::directory_iterator(data / "photos")) {
    if (entry.path().extension() == ".JPEG") command.push_back(entry.path().string());
  }
  const Json predicted =
      json_of(joined(command, {"--model", "squeezenet1_0", "--classes", names.string(), "--json"}));
  double first = 0;
  double among_five = 0;
  for (const Json& photo : predicted) {
    // n01440764_tench.JPEG, and the class "n01440764 tench, Tinca tinca".
    const std::string synset =
        fs::path(photo["image"].get<std::string>()).filename().string().substr(0, 9);
    for (size_t rank = 0; rank < photo["top"].size(); ++rank) {
      if (!photo["top"][rank]["class"].get<std::string>().starts_with(synset)) continue;
      first += rank == 0 ? 1 : 0;
      among_five += 1;
    }
  }
  // On the thousand photos that these come from it is right in 61.9 % and 83.2 %.
  const auto photos = static_cast<double>(predicted.size());
  EXPECT_GT(photos, 30);
  EXPECT_GT(first / photos, 0.4);
  EXPECT_GT(among_five / photos, 0.65);
}

TEST_F(Results, PredictsSeveralPicturesInTheirOrder) {
  write_weights("lenet5", "lenet.safetensors");
  write_picture("a.png", 0);
  write_picture("b.png", 1);
  const Json predicted = json_of({"predict", "lenet.safetensors", "b.png", "a.png", "--json"});
  ASSERT_EQ(predicted.size(), 2U);
  EXPECT_EQ(predicted[0]["image"], "b.png");
  EXPECT_EQ(predicted[0]["top"].size(), 5U);
  EXPECT_FALSE(predicted[1]["top"][0]["class"].get<std::string>().empty());
}

}  // namespace
}  // namespace striate
