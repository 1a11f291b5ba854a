// The networks against implementations that share no code with them: torchvision, and plain PyTorch
// written from the papers (tests/reference/README.md).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstdlib>
#include <filesystem>

#include "kernels/tiles_allowed.h"
#include "models/generated.h"
#include "models/networks.h"
#include "shared_folder.h"
#include "striate/base/json.h"
#include "striate/data/transforms.h"
#include "striate/image/codec.h"
#include "striate/models/models.h"
#include "striate/runtime/network.h"
#include "striate/training/losses.h"

namespace striate {
namespace {

// Relative L2 errors, in PyTorch's layout. Where PyTorch's own float32 is further from float64 (a
// ReLU near zero that flips), four times its distance is allowed. In channels last the sums of a
// convolution are longer, and more ReLUs flip: only outputs are compared.
constexpr double kOutputTolerance = 1e-5;
constexpr double kGradientTolerance = 1e-4;
constexpr double kNoiseFactor = 4;
// Both sides in float64, the reference stored as float32.
constexpr double kDoubleTolerance = 2e-7;
// Where values are within rounding of each other, ReLUs and max-poolings decide by the processor's
// order of sums, and a gradient then differs by far more than a rounding.
constexpr double kKink = 0.02;

constexpr int64_t kClass = 7;

// The file that holds a network: the first families', or that of the rest.
const Weights& project_reference(const std::string& model) {
  static const Weights first =
      read_weights(STRIATE_SOURCE_DIR "/tests/reference/models.safetensors");
  static const Weights zoo = read_weights(STRIATE_SOURCE_DIR "/tests/reference/zoo.safetensors");
  return zoo.tensors.contains(model + "/logits") ? zoo : first;
}

double relative_error(const at::Tensor& ours, const at::Tensor& reference) {
  const at::Tensor r = reference.to(at::kDouble);
  return ((ours.to(at::kDouble) - r).norm() / r.norm()).item<double>();
}

// A network's entries in a reference file, and how to compare with them.
class Comparison {
 public:
  Comparison(const Weights& file, std::string model, at::ScalarType type)
      : file_(file), model_(std::move(model)), type_(type) {
    const auto noise = file_.metadata.find("float32_noise");
    if (noise != file_.metadata.end()) noise_ = parse_json(noise->second, "float32_noise");
  }

  bool has(const std::string& key) const { return file_.tensors.contains(model_ + "/" + key); }
  const at::Tensor& at(const std::string& key) const {
    return file_.tensors.at(model_ + "/" + key);
  }

  void check(const std::string& key, const at::Tensor& ours, double tolerance) const {
    ASSERT_TRUE(has(key)) << model_ << "/" << key;
    EXPECT_LT(error(key, ours), allowed(key, tolerance)) << model_ << "/" << key;
  }
  bool agrees(const std::string& key, const at::Tensor& ours, double tolerance) const {
    return has(key) && error(key, ours) < allowed(key, tolerance);
  }

  std::vector<std::string> keys(const std::string& prefix) const {
    std::vector<std::string> result;
    for (const auto& [name, tensor] : file_.tensors) {
      if (name.starts_with(model_ + "/" + prefix)) result.push_back(name.substr(model_.size() + 1));
    }
    return result;
  }

 private:
  double error(const std::string& key, const at::Tensor& ours) const {
    return relative_error(ours.reshape(at(key).sizes()), at(key));
  }
  double allowed(const std::string& key, double tolerance) const {
    if (type_ == at::kDouble) return kDoubleTolerance;
    const std::string name = model_ + "/" + key;
    if (!noise_.contains(name)) return tolerance;
    return std::max(tolerance, kNoiseFactor * noise_[name].get<double>());
  }

  const Weights& file_;
  std::string model_;
  at::ScalarType type_;
  Json noise_;
};

struct Images {
  Shape eval;
  Shape train;
  std::vector<int64_t> labels;
  int64_t sampling;  // of the input's gradient: every so many rows and columns
};

Images images_of(const ModelEntry& entry) {
  const Shape& input = entry.defaults.input;
  if (input[1] >= 224) {
    return {{2, 3, input[1], input[1]}, {4, 3, 96, 96}, {1, 22, 333, 444}, 16};
  }
  return {{2, input[0], 32, 32}, {4, input[0], 32, 32}, {1, 2, 3, 4}, 4};
}

struct Build {
  at::ScalarType type = at::kFloat;
  Layout layout = Layout::kContiguous;
  bool auxiliary_heads = false;
};

std::unique_ptr<Network> generated_network(const std::string& model, const Shape& images,
                                           const Build& build) {
  Graph graph = build_model(model, {.input = {images.begin() + 1, images.end()},
                                    .auxiliary_heads = build.auxiliary_heads});
  const Weights weights = generated_weights(graph);
  auto network = std::make_unique<Network>(std::move(graph), weights, build.layout);
  network->to(build.type);
  return network;
}

// What each ReLU passes, and which value each max-pooling takes.
NamedValues decisions(const std::string& model, const Images& images, at::ScalarType type) {
  const at::NoGradGuard no_grad;
  const auto network = generated_network(model, images.eval, {.type = type});
  network->eval();
  const Graph& graph = network->graph();
  ForwardOptions options;
  for (const Node& node : graph.nodes()) options.taps.push_back(node.name);
  const NamedValues values =
      network->forward(generated("input.eval", images.eval).to(type), options);
  NamedValues result;
  for (const Node& node : graph.nodes()) {
    if (std::holds_alternative<ReLU>(node.op)) result[node.name] = values.at(node.name) > 0;
    const auto* pool = std::get_if<MaxPool2d>(&node.op);
    if (pool == nullptr) continue;
    const Size2 stride = pool->stride.value_or(pool->kernel_size);
    result[node.name] = std::get<1>(at::max_pool2d_with_indices(
        values.at(graph.node({node.inputs[0]}).name),
        {pool->kernel_size.height, pool->kernel_size.width}, {stride.height, stride.width},
        {pool->padding.height, pool->padding.width}, 1, pool->ceil_mode));
  }
  return result;
}

bool decides_as_in_float64(const std::string& model, const Images& images) {
  const NamedValues exact = decisions(model, images, at::kDouble);
  const NamedValues rounded = decisions(model, images, at::kFloat);
  return std::ranges::all_of(
      exact, [&](const auto& named) { return named.second.equal(rounded.at(named.first)); });
}

void check_evaluation(const Comparison& reference, const std::string& model, at::ScalarType type) {
  const Images images = images_of(find_model(model));
  const auto made = generated_network(model, images.eval, {.type = type});
  Network& network = *made;
  network.eval();
  const at::Tensor x = generated("input.eval", images.eval).to(type).requires_grad_();
  const at::Tensor logits = network.forward(x);
  const at::Tensor gradient = torch::autograd::grad({logits.select(1, kClass).sum()}, {x})[0];
  reference.check("logits", logits.detach(), kOutputTolerance);
  const int64_t step = images.sampling;
  const at::Tensor sampled =
      gradient[0].slice(1, 0, std::nullopt, step).slice(2, 0, std::nullopt, step);
  const bool decided_otherwise = type == at::kFloat &&
                                 !reference.agrees("input_gradient", sampled, kGradientTolerance) &&
                                 !decides_as_in_float64(model, images);
  const double tolerance = decided_otherwise ? kKink : kGradientTolerance;
  reference.check("input_gradient", sampled, tolerance);
  reference.check("input_gradient_norm", gradient.flatten(1).norm(2, 1), tolerance);
}

void check_training_step(const Comparison& reference, const std::string& model,
                         at::ScalarType type) {
  const ModelEntry& entry = find_model(model);
  const Images images = images_of(entry);
  const auto made = generated_network(model, images.train, {.type = type});
  Network& network = *made;
  network.train();
  const at::Tensor logits = network.forward(generated("input.train", images.train).to(type));
  const LossOptions loss_options{.kind = named_recipe(entry.recipe).loss.kind};
  const at::Tensor loss = losses::compute(loss_options, logits, at::tensor(images.labels));
  torch::autograd::backward({loss}, {});
  reference.check("train/logits", logits.detach(), kOutputTolerance);
  reference.check("train/loss", loss.detach(), kOutputTolerance);
  for (const std::string& key : reference.keys("train/grad/")) {
    reference.check(key, network.tensor(key.substr(11)).grad(), kGradientTolerance);
  }
  for (const std::string& key : reference.keys("train/grad_norm/")) {
    const std::string weight = key.substr(16);
    // The paper's output codes are fixed; the reference has their gradient too.
    if (!network.tensor(weight).grad().defined()) continue;
    reference.check(key, network.tensor(weight).grad().norm(), kGradientTolerance);
  }
  for (const std::string& key : reference.keys("train/")) {
    if (key.ends_with("running_var")) {
      reference.check(key, network.tensor(key.substr(6)), kOutputTolerance);
    }
  }
}

class Reference : public testing::TestWithParam<std::string> {};

TEST_P(Reference, EvaluationAgreesInFloat) {
  check_evaluation({project_reference(GetParam()), GetParam(), at::kFloat}, GetParam(), at::kFloat);
}

TEST_P(Reference, OutputsAgreeInChannelsLast) {
  const Images images = images_of(find_model(GetParam()));
  const auto network =
      generated_network(GetParam(), images.eval, {.layout = Layout::kChannelsLast});
  network->eval();
  at::NoGradGuard no_grad;
  const Comparison reference(project_reference(GetParam()), GetParam(), at::kFloat);
  for (const bool tiles : ways_to_multiply()) {
    const TilesAllowed allowed(tiles);
    reference.check("logits", network->forward(generated("input.eval", images.eval)),
                    kOutputTolerance);
  }
}

// In float64, where no ReLU flips: a deep network in training mode amplifies the rounding of
// float32 beyond use.
TEST_P(Reference, ATrainingStepAgreesInDouble) {
  const Comparison reference(project_reference(GetParam()), GetParam(), at::kDouble);
  if (!reference.has("train/loss")) GTEST_SKIP() << "networks with dropout have no reference step";
  check_training_step(reference, GetParam(), at::kDouble);
}

INSTANTIATE_TEST_SUITE_P(Zoo, Reference,
                         testing::Values("lenet5", "lenet5@paper", "alexnet", "alexnet@paper",
                                         "nin", "nin_cifar", "vgg11", "vgg16", "vgg16_bn",
                                         "googlenet", "googlenet@paper", "resnet18", "resnet34",
                                         "resnet50", "resnet50@paper", "resnet20", "resnet56",
                                         "resnet110", "plain20", "plain56", "resnet110_sd",
                                         "wide_resnet50_2", "wrn_28_10", "resnext50_32x4d",
                                         "resnext29_8x64d", "fractalnet20", "densenet121",
                                         "densenet40_12", "densenetbc100_12", "squeezenet1_0",
                                         "squeezenet1_0_bypass", "squeezenet1_1"),
                         test_name);

// Those that only repeat the blocks of the others: label exhaustive, not part of the usual run.
INSTANTIATE_TEST_SUITE_P(Deeper, Reference,
                         testing::Values("vgg13", "vgg19", "vgg11_bn", "vgg13_bn", "vgg19_bn",
                                         "resnet101", "resnet152", "resnet101@paper",
                                         "resnet152@paper", "resnext101_32x8d", "resnext101_64x4d",
                                         "resnext29_16x64d", "wide_resnet101_2", "fractalnet40",
                                         "densenet161", "densenet169", "densenet201",
                                         "densenet100_12", "densenet100_24", "densenetbc250_24",
                                         "densenetbc190_40"),
                         test_name);

class AuxiliaryHeads : public testing::TestWithParam<std::string> {};

TEST_P(AuxiliaryHeads, AgreeInFloat) {
  const Images images = images_of(find_model(GetParam()));
  const auto network = generated_network(GetParam(), images.eval, {.auxiliary_heads = true});
  network->eval();
  at::NoGradGuard no_grad;
  const NamedValues values = network->forward(generated("input.eval", images.eval), {});
  const Comparison reference(project_reference(GetParam()), GetParam(), at::kFloat);
  for (const char* head : {"logits", "aux1", "aux2"}) {
    reference.check(head, values.at(head), kOutputTolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(Zoo, AuxiliaryHeads, testing::Values("googlenet", "googlenet@paper"),
                         test_name);

TEST(FractalNet, TheDeepestColumnAloneAgrees) {
  const Images images = images_of(find_model("fractalnet20"));
  const auto network = generated_network("fractalnet20", images.eval, {});
  network->eval();
  network->use_column(2);
  at::NoGradGuard no_grad;
  Comparison(project_reference("fractalnet20"), "fractalnet20", at::kFloat)
      .check("column2_logits", network->forward(generated("input.eval", images.eval)),
             kOutputTolerance);
}

// Real weights on real photos, decoded and prepared here, against torchvision on Pillow
// (tools/reference/squeezenet_photos.py).
TEST(SqueezeNet, SaysOfPhotosWhatItSaysInPython) {
  const std::filesystem::path weights =
      shared_folder() / "data" / "squeezenet1_0" / "squeezenet1_0.safetensors";
  if (!std::filesystem::exists(weights)) GTEST_SKIP() << "needs " << weights;
  constexpr double kTolerance = 1e-3;  // a grey level here or there in decoding and resizing
  const Weights python =
      read_weights(STRIATE_SOURCE_DIR "/tests/reference/squeezenet_photos.safetensors");
  const Json photos = parse_json(python.metadata.at("photos"), "photos");
  Network network(build_model("squeezenet1_0"), read_weights(weights));
  network.eval();
  const Preprocessing preprocessing = named_preprocessing("imagenet");
  Random random({0});
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < photos.size(); ++i) {
    const auto name = photos[i].get<std::string>();
    FloatImage view =
        preprocessing
            .apply(read_image(shared_folder() / "data" / "photos" / name, PixelFormat::kRgb),
                   random)
            .front();
    const at::Tensor image = at::from_blob(view.pixels.data(), {1, 224, 224, 3}, at::kFloat);
    const at::Tensor logits = network.forward(image.permute({0, 3, 1, 2}))[0];
    const at::Tensor reference = python.tensors.at("logits")[static_cast<int64_t>(i)];
    EXPECT_EQ(logits.argmax().item<int64_t>(), reference.argmax().item<int64_t>()) << name;
    EXPECT_LT(relative_error(logits, reference), kTolerance) << name;
  }
  EXPECT_EQ(photos.size(), 42U);
}

// A wider set of reference files, which is not part of the project.
const Weights* shared_reference() {
  const std::filesystem::path path = shared_folder() / "reference" / "classification.safetensors";
  if (!std::filesystem::exists(path)) return nullptr;
  static const Weights file = read_weights(path);
  return &file;
}

constexpr int kSharedThreads = 2;  // of the machine that computed it

class SharedReference : public testing::TestWithParam<std::string> {};

TEST_P(SharedReference, EvaluationAndATrainingStepAgreeInFloat) {
  const Weights* file = shared_reference();
  if (file == nullptr) GTEST_SKIP() << "there are no shared reference files here";
  // How float32 rounds follows the number of threads, and which ReLUs flip follows the rounding.
  at::set_num_threads(kSharedThreads);
  const Comparison reference(*file, GetParam(), at::kFloat);
  if (!reference.has("logits")) GTEST_SKIP() << "the shared file does not have this network";
  check_evaluation(reference, GetParam(), at::kFloat);
  if (reference.has("train/loss")) check_training_step(reference, GetParam(), at::kFloat);
}

INSTANTIATE_TEST_SUITE_P(Models, SharedReference,
                         testing::Values("vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn",
                                         "vgg16_bn", "vgg19_bn", "resnet18", "resnet34", "resnet50",
                                         "resnet101", "resnet152", "alexnet", "googlenet",
                                         "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d",
                                         "wide_resnet50_2", "wide_resnet101_2", "densenet121",
                                         "densenet161", "densenet169", "densenet201",
                                         "squeezenet1_0", "squeezenet1_1"),
                         test_name);

}  // namespace
}  // namespace striate
