// The verbs `run` and `convert`: tensors in, tensors out.
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/zeros.h>

#include "cli/program.h"
#include "striate/base/file.h"
#include "striate/models/models.h"
#include "striate/runtime/network.h"

namespace striate {
namespace {

// float32 sums of a few thousand terms, in whatever order.
constexpr double kRounding = 1e-4;

class Tensors : public Program {
 protected:
  Tensors() { write_weights("resnet20", "resnet.safetensors"); }

  void write_input(const at::Tensor& images) const {
    write_safetensors({.tensors = {{"input", images}}, .metadata = {}}, folder_ / "in.safetensors");
  }
  std::vector<std::string> command(const std::vector<std::string>& more = {}) const {
    return joined({"run", "resnet20", "--weights", "resnet.safetensors", "--input",
                   "in.safetensors", "--output", "out.safetensors"},
                  more);
  }
  std::map<std::string, at::Tensor> tensors_of(const std::vector<std::string>& more) const {
    const Outcome outcome = run(command(more));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return read_weights(folder_ / "out.safetensors").tensors;
  }

  const at::Tensor images_ = at::rand({2, 3, 32, 32});
};

TEST_F(Tensors, RunGivesTheNetworksOutputAndAnyNode) {
  write_input(images_);
  const auto tensors = tensors_of({"--node", "conv1", "--node", "layer2.0.relu"});
  ASSERT_EQ(tensors.size(), 3U);
  Network network(build_model("resnet20"), 3);
  network.eval();
  const NamedValues expected = network.forward(images_, {.taps = {"conv1", "layer2.0.relu"}});
  for (const auto& [name, value] : expected) {
    EXPECT_TRUE(at::allclose(tensors.at(name), value, kRounding, kRounding)) << name;
  }
}

TEST_F(Tensors, RunGivesTheGradientForTheInput) {
  write_input(images_);
  const auto tensors = tensors_of({"--gradient", "7"});
  EXPECT_EQ(tensors.at("input_gradient").sizes(), images_.sizes());
  // Along the gradient the class's scores rise as it says.
  const at::Tensor& gradient = tensors.at("input_gradient");
  constexpr double kStep = 1e-3;
  write_input(images_ + kStep * gradient);
  const auto moved = tensors_of({});
  const auto score = [](const std::map<std::string, at::Tensor>& t) {
    return t.at("logits").select(1, 7).sum().item<double>();
  };
  const double slope = gradient.square().sum().item<double>();
  EXPECT_NEAR((score(moved) - score(tensors)) / (kStep * slope), 1, 0.05);
}

TEST_F(Tensors, RunInTrainingModeGivesLossGradientsAndStatistics) {
  write_input(images_);
  const auto tensors = tensors_of({"--mode", "train", "--labels", "1,9"});
  const Weights before = read_weights(folder_ / "resnet.safetensors");
  EXPECT_EQ(tensors.at("loss").numel(), 1);
  EXPECT_GT(tensors.at("loss").item<double>(), 0);
  int64_t gradients = 0;
  for (const auto& [key, tensor] : before.tensors) {
    if (key.find("running_") != std::string::npos) {
      EXPECT_FALSE(at::equal(tensors.at(key), tensor)) << key;
    } else if (key.find("num_batches") == std::string::npos) {
      EXPECT_EQ(tensors.at("grad/" + key).sizes(), tensor.sizes()) << key;
      ++gradients;
    }
  }
  EXPECT_EQ(gradients, 19 + 2 * 19 + 2);  // convolutions, normalisations, the linear layer
  // The weights' own file is as it was.
  EXPECT_EQ(files().size(), 3U);
}

TEST_F(Tensors, RunComputesInTheInputsType) {
  write_input(images_.to(at::kDouble));
  const auto tensors = tensors_of({});
  EXPECT_EQ(tensors.at("logits").scalar_type(), at::kDouble);
}

TEST_F(Tensors, RunTakesImagesOfAnotherSize) {
  write_input(at::rand({1, 3, 40, 36}));
  EXPECT_EQ(tensors_of({}).at("logits").sizes(), (std::vector<int64_t>{1, 10}));
}

TEST_F(Tensors, RunRefusesWhatDoesNotFit) {
  write_input(images_);
  expect_failure(command({"--mode", "train", "--labels", "1"}), 2, {"2 images, got 1"});
  expect_failure(command({"--mode", "train", "--labels", "1,2,3"}), 2, {"2 images, got 3"});
  expect_failure(command({"--mode", "train"}), 2, {"--labels"});
  expect_failure(command({"--mode", "train", "--labels", "1,10"}), 2, {"label 10"});
  expect_failure(command({"--mode", "train", "--labels", "1,-1"}), 2, {"label -1"});
  expect_failure(command({"--labels", "1,2"}), 2, {"--mode train"});
  expect_failure(command({"--gradient", "10"}), 2, {"--gradient 10"});
  expect_failure(command({"--node", "layer9.0.relu"}), 2, {"layer9.0.relu", "did you mean"});
  expect_failure(command({"--mode", "sleep"}), 2, {"--mode"});
}

TEST_F(Tensors, RunRefusesInputsThatAreNoImages) {
  write_input(at::zeros({3, 32, 32}));
  expect_failure(command(), 1, {"in.safetensors", "(N, C, H, W)", "(3, 32, 32)"});
  write_input(at::zeros({2, 3, 32, 32}, at::kLong));
  expect_failure(command(), 1, {"in.safetensors", "Long"});
  write_input(at::zeros({0, 3, 32, 32}));
  expect_failure(command(), 1, {"in.safetensors", "(0, 3, 32, 32)"});
  write_input(at::zeros({2, 4, 32, 32}));
  expect_failure(command(), 1, {"conv1.weight"});
  write_safetensors({.tensors = {{"x", images_}}, .metadata = {}}, folder_ / "in.safetensors");
  expect_failure(command(), 1, {"in.safetensors", "no tensor \"input\""});
}

TEST_F(Tensors, ConvertKeepsEveryTensor) {
  const Json report = json_of({"convert", "resnet.safetensors", "copy.safetensors", "--json"});
  const Weights original = read_weights(folder_ / "resnet.safetensors");
  const Weights copy = read_weights(folder_ / "copy.safetensors");
  EXPECT_EQ(report["tensors"], original.tensors.size());
  ASSERT_EQ(copy.tensors.size(), original.tensors.size());
  for (const auto& [key, tensor] : original.tensors) {
    EXPECT_TRUE(at::equal(copy.tensors.at(key), tensor)) << key;
  }
  EXPECT_EQ(copy.metadata, original.metadata);
}

TEST_F(Tensors, ConvertReadsAPyTorchFile) {
  const std::string source = std::string(STRIATE_SOURCE_DIR) + "/tests/reference/pth/";
  ASSERT_EQ(run({"convert", source + "checkpoint.pth", "out.safetensors"}).exit_code, 0);
  const Weights expected = read_weights(source + "checkpoint.safetensors");
  const Weights converted = read_weights(folder_ / "out.safetensors");
  ASSERT_EQ(converted.tensors.size(), expected.tensors.size());
  for (const auto& [key, tensor] : expected.tensors) {
    EXPECT_TRUE(at::equal(converted.tensors.at(key), tensor)) << key;
  }
}

TEST_F(Tensors, ConvertLetsTheNewFileSayWhichNetworkItIs) {
  Weights bare = read_weights(folder_ / "resnet.safetensors");
  bare.metadata.clear();
  write_safetensors(bare, folder_ / "bare.safetensors");
  ASSERT_EQ(
      run({"convert", "bare.safetensors", "told.safetensors", "--model", "resnet20"}).exit_code, 0);
  EXPECT_EQ(read_weights(folder_ / "told.safetensors").metadata.at("striate.model"), "resnet20");
  // plain20 has the same tensors: what the user says goes before what the file says.
  ASSERT_EQ(
      run({"convert", "told.safetensors", "plain.safetensors", "--model", "plain20"}).exit_code, 0);
  EXPECT_EQ(read_weights(folder_ / "plain.safetensors").metadata.at("striate.model"), "plain20");
}

TEST_F(Tensors, ConvertRefusesAnotherNetworksWeights) {
  expect_failure({"convert", "resnet.safetensors", "out.safetensors", "--model", "lenet5"}, 1,
                 {"fc1.weight is missing", "resnet20"});
}

TEST_F(Tensors, ConvertReplacesItsOwnInput) {
  const std::vector<uint8_t> before = read_file(folder_ / "resnet.safetensors");
  ASSERT_EQ(run({"convert", "resnet.safetensors", "resnet.safetensors"}).exit_code, 0);
  EXPECT_EQ(read_file(folder_ / "resnet.safetensors"), before);
}

}  // namespace
}  // namespace striate
