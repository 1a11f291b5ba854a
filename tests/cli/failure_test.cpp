// Files that are missing, damaged, hostile or not what they should be.
#include "cli/program.h"
#include "striate/base/file.h"
#include "striate/image/codec.h"
#include "striate/runtime/weights.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

class Failure : public Program {
 protected:
  Failure() {
    write_data();
    write_weights("lenet5", "lenet.safetensors");
    write_weights("resnet20", "resnet.safetensors");
    write_file_atomically(folder_ / "picture.png", encode_png(make_image(28, 28, 1)));
  }
  void write(const std::string& name, const std::string& text) const {
    write_file_atomically(folder_ / name, text);
  }
  // What each way of reading weights must refuse.
  void expect_refused_weights(const std::string& name,
                              const std::vector<std::string>& parts) const {
    expect_failure({"evaluate", name, "--data", "idx:data"}, 1, parts);
    expect_failure({"convert", name, "out.safetensors"}, 1, parts);
    expect_failure(joined({"train", "lenet5", "--weights", name, "--out", "run"}, quick_flags()), 1,
                   parts);
  }
};

TEST_F(Failure, WeightsOfAnotherNetworkNameTheKeysAndTheRightNetwork) {
  const std::vector<std::string> parts = {"resnet.safetensors", "not those of lenet5",
                                          "fc1.weight is missing",
                                          "they look like those of resnet20"};
  expect_failure({"evaluate", "resnet.safetensors", "--model", "lenet5", "--data", "idx:data"}, 1,
                 parts);
  expect_failure({"predict", "resnet.safetensors", "picture.png", "--model", "lenet5"}, 1, parts);
  expect_failure(
      joined({"train", "lenet5", "--weights", "resnet.safetensors", "--out", "run"}, quick_flags()),
      1, parts);
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(Failure, WeightsThatDoNotSayTheirNetworkGetTheLikelyOne) {
  Weights bare = read_weights(folder_ / "resnet.safetensors");
  bare.metadata.clear();
  write_safetensors(bare, folder_ / "bare.safetensors");
  expect_failure({"predict", "bare.safetensors", "picture.png"}, 2, {"--model resnet20"});
}

TEST_F(Failure, OfNetworksWithTheSameKeysTheOneWithTheSameShapesIsLikely) {
  write_weights("densenet100_24", "dense.safetensors");  // densenet100_12 is half as wide
  Weights bare = read_weights(folder_ / "dense.safetensors");
  bare.metadata.clear();
  write_safetensors(bare, folder_ / "bare.safetensors");
  const Outcome outcome = run({"predict", "bare.safetensors", "picture.png"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_TRUE(has(outcome.err, "--model densenet100_24"));
}

TEST_F(Failure, MissingFilesAreNamed) {
  expect_refused_weights("none.safetensors", {"none.safetensors", "No such file"});
  expect_failure({"predict", "lenet.safetensors", "none.png"}, 1, {"none.png"});
  expect_failure({"data", "folder:none"}, 1, {"none"});
  expect_failure({"evaluate", "lenet.safetensors", "--data", "idx:none"}, 1, {"none"});
  expect_failure({"train", "lenet5", "--recipe", "none.json", "--data", "idx:data"}, 1,
                 {"none.json"});
}

TEST_F(Failure, TruncatedWeightsAreAnError) {
  const std::vector<uint8_t> whole = read_file(folder_ / "lenet.safetensors");
  for (const size_t length : {size_t{0}, size_t{100}, whole.size() - 1}) {
    write("cut.safetensors",
          std::string(whole.begin(), whole.begin() + static_cast<int64_t>(length)));
    expect_refused_weights("cut.safetensors", {"cut.safetensors"});
  }
}

TEST_F(Failure, APyTorchFileThatCallsAFunctionIsRefused) {
  const std::string magic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  const std::string call = std::string("\x80\x02") + "cposix\nsystem\n(X\x0c" +
                           std::string(3, '\0') + "touch marker" + "tR.";
  write("evil.pth", magic + "\x80\x02M\xe9\x03.\x80\x02}." + call);
  expect_refused_weights("evil.pth", {"evil.pth", "posix.system"});
  EXPECT_FALSE(fs::exists(folder_ / "marker"));
}

TEST_F(Failure, WhatAWeightFileSaysOfItselfIsChecked) {
  const auto expect_refused = [&](const std::string& key, const std::string& text) {
    Weights weights = read_weights(folder_ / "lenet.safetensors");
    weights.metadata[key] = text;
    write_safetensors(weights, folder_ / "odd.safetensors");
    SCOPED_TRACE(key + " " + text.substr(0, 40));
    const Outcome outcome = run({"predict", "odd.safetensors", "picture.png"});
    EXPECT_TRUE(outcome.exit_code == 1 || outcome.exit_code == 2) << outcome.exit_code;
    EXPECT_TRUE(has(outcome.err, "striate: error: "));
    EXPECT_LT(outcome.err.size(), 2000U);
  };
  expect_refused("striate.model", "no-such-network");
  expect_refused("striate.input", "[1, 32]");
  expect_refused("striate.input", "[1, 9223372036854775807, 9223372036854775807]");
  expect_refused("striate.input", "{}");
  expect_refused("striate.input", "[1, 32");
  expect_refused("striate.class_names", "3");
  expect_refused("striate.preprocessing", R"([{"resize": {"size": 1e999}}])");
  expect_refused("striate.preprocessing", R"([{"resize": {"size": 1.5}}])");
  expect_refused("striate.preprocessing", R"([{"pad": {"padding": 99999999}}])");
  expect_refused("striate.preprocessing", std::string(300'000, '[') + std::string(300'000, ']'));
}

TEST_F(Failure, JsonFilesThatAreHostileAreErrors) {
  write("deep.json", std::string(500'000, '[') + std::string(500'000, ']'));
  write("deep_value.json",
        "{\"name\": " + std::string(500'000, '[') + std::string(500'000, ']') + "}");
  write("large_number.json", "{\"name\": 1e999}");
  write("text.json", "{\"name\": \"\xff\"}");
  write("cut.json", "{\"name\": \"a");
  write("empty.json", "");
  for (const std::string name : {"deep.json", "deep_value.json", "large_number.json", "text.json",
                                 "cut.json", "empty.json"}) {
    expect_failure({"recipes", name}, 1, {name});
  }
  expect_failure({"predict", "lenet.safetensors", "picture.png", "--preprocess", "deep.json"}, 1,
                 {"deep.json"});
}

TEST_F(Failure, WhatIsNoImageIsNamed) {
  write("text.png", "hello");
  write("empty.jpg", "");
  const std::vector<uint8_t> jpeg = encode_jpeg(make_image(64, 64, 3), 90);
  write("cut.jpg", std::string(jpeg.begin(), jpeg.begin() + static_cast<int64_t>(jpeg.size() / 2)));
  for (const std::string name : {"text.png", "empty.jpg", "cut.jpg"}) {
    expect_failure({"predict", "lenet.safetensors", "picture.png", name}, 1, {name});
  }
  fs::create_directories(folder_ / "folder.png");
  expect_failure({"predict", "lenet.safetensors", "folder.png"}, 1, {"folder.png"});
}

TEST_F(Failure, DataThatDoesNotFitTheNetworkIsAnError) {
  // The images are 28 pixels wide, and an RGB network is given grey ones.
  expect_failure({"evaluate", "lenet.safetensors", "--data", "idx:data", "--crops", "10"}, 1,
                 {"ten_crop of 32", "28x28"});
  write("rgb.json", R"([{"channels": {"count": 3}}, {"center_crop": {"size": 32}}])");
  expect_failure(
      {"evaluate", "lenet.safetensors", "--data", "idx:data", "--preprocess", "rgb.json"}, 1,
      {"[input] needs", "3, 32, 32)"});
}

TEST_F(Failure, ResumingAFolderWithoutARunIsAnError) {
  expect_failure({"train", "--resume", "data"}, 1, {"data holds no run", "checkpoint.safetensors"});
  expect_failure({"train", "--resume", "none"}, 1, {"none holds no run"});
  EXPECT_FALSE(fs::exists(folder_ / "none"));
}

TEST_F(Failure, ResumingADamagedRunIsAnError) {
  ASSERT_EQ(train("run", {"--epochs", "1"}).exit_code, 0);
  const fs::path checkpoint = folder_ / "run/state/checkpoint.safetensors";
  const Weights saved = read_weights(checkpoint);
  const auto with_position = [&](const std::string& key, const Json& value) {
    Weights changed = saved;
    Json position = Json::parse(changed.metadata.at("position"));
    position["finished"] = false;
    position["epoch"] = 0;
    position[key] = value;
    changed.metadata["position"] = position.dump();
    write_safetensors(changed, checkpoint);
  };
  with_position("step", -5);
  expect_failure({"train", "--resume", "run"}, 1, {"checkpoint"});
  with_position("step", 1'000'000);
  expect_failure({"train", "--resume", "run"}, 1, {"checkpoint"});
  with_position("epoch", -1);
  expect_failure({"train", "--resume", "run"}, 1, {"checkpoint"});
  with_position("metrics_bytes", 1'000'000'000);
  expect_failure({"train", "--resume", "run"}, 1, {"metrics.jsonl"});
  write_safetensors({.tensors = {}, .metadata = {}}, checkpoint);
  expect_failure({"train", "--resume", "run"}, 1, {"checkpoint"});
  write("run/state/checkpoint.safetensors", "cut");
  expect_failure({"train", "--resume", "run"}, 1, {"checkpoint.safetensors"});
  write_safetensors(saved, checkpoint);
  write("run/recipe.json", "{\"model\": \"lenet5\"}");
  expect_failure({"train", "--resume", "run"}, 1, {"recipe.json"});
}

TEST_F(Failure, AnUnknownDeviceIsAnErrorAndStartsNoRun) {
  for (const std::string device : {"tpu", "cudax", "cuda:", "cuda:-1", "cuda:1x"}) {
    expect_failure(joined({"train", "lenet5", "--out", "run", "--device", device}, quick_flags()),
                   2, {"\"" + device + "\"", "cpu or cuda"});
  }
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

}  // namespace
}  // namespace striate
