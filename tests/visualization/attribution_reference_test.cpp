// Attributions against captum's (tests/reference/README.md).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "models/generated.h"
#include "models/networks.h"
#include "shared_folder.h"
#include "striate/base/json.h"
#include "striate/visualization/attribution.h"

namespace striate {
namespace {

// Relative L2 errors, in PyTorch's layout. Where PyTorch's own float32 is further from float64 for
// any entry of a network (a ReLU near zero that flips; which one depends on the rounding, and here
// batch-norms are folded), four times its distance is allowed. The strict comparison is in float64.
constexpr double kTolerance = 1e-4;
constexpr double kNoiseFactor = 4;
// Both sides in float64, the reference stored as float32.
constexpr double kDoubleTolerance = 5e-7;

double relative_error(const at::Tensor& ours, const at::Tensor& reference) {
  const at::Tensor r = reference.to(at::kDouble);
  return ((ours.to(at::kDouble) - r).norm() / r.norm()).item<double>();
}

at::Tensor sampled(const at::Tensor& maps, int64_t step) {
  return maps.slice(-2, 0, std::nullopt, step).slice(-1, 0, std::nullopt, step);
}

at::Tensor norms(const at::Tensor& maps) {
  return maps.to(at::kDouble).flatten(1).norm(2, 1);
}

std::unique_ptr<Network> generated_network(const std::string& model, Shape input, Layout layout,
                                           at::ScalarType type) {
  Graph graph = build_model(model, {.input = std::move(input)});
  const Weights weights = generated_weights(graph);
  auto network = std::make_unique<Network>(std::move(graph), weights, layout);
  network->to(type);
  network->eval();
  return network;
}

const Weights& captum() {
  static const Weights file =
      read_weights(STRIATE_SOURCE_DIR "/tests/reference/attribution.safetensors");
  return file;
}

// One network of tools/reference/attribution.py, and what it is asked there.
class Captum : public testing::TestWithParam<std::string> {
 protected:
  static constexpr int64_t kSampling = 8;
  static constexpr int64_t kNoiseSamples = 3;

  void make(Layout layout, at::ScalarType type) {
    type_ = type;
    network_ = generated_network(GetParam(), {3, 96, 96}, layout, type);
    images_ = generated("input.eval", {2, 3, 96, 96}).to(type);
    const Json layers = parse_json(captum().metadata.at("layers"), "layers")[GetParam()];
    layer_ = layers[0].get<std::string>();
    unit_ = layers[1];
    const Json noise = parse_json(captum().metadata.at("float32_noise"), "float32_noise");
    for (const auto& [key, value] : noise.items()) {
      if (key.starts_with(GetParam() + "/")) noise_ = std::max(noise_, value.get<double>());
    }
  }

  // A score of the second image is not of the first one's class.
  Target target() const { return {.channels = at::tensor({int64_t{7}, int64_t{3}})}; }
  Target unit() const {
    Target target = channel();
    target.position = Position{.y = unit_[2].get<int64_t>(), .x = unit_[3].get<int64_t>()};
    return target;
  }
  Target channel() const {
    return same_target(2, unit_[1].get<int64_t>(), unit_[0].get<std::string>());
  }

  void check(const std::string& key, const at::Tensor& ours) const {
    compare(key, sampled(ours, kSampling));
    compare(key + "_norm", norms(ours));
  }

  void compare(const std::string& key, const at::Tensor& ours) const {
    const std::string name = GetParam() + "/" + key;
    ASSERT_TRUE(captum().tensors.contains(name)) << name;
    const at::Tensor& reference = captum().tensors.at(name);
    EXPECT_LT(relative_error(ours.reshape(reference.sizes()), reference),
              type_ == at::kDouble ? kDoubleTolerance : std::max(kTolerance, kNoiseFactor * noise_))
        << name;
  }

  void check_gradients() const {
    check("saliency", saliency(*network_, images_, target()));
    check("guided_backprop", guided_backprop(*network_, images_, target()));
    check("deconvolution", deconvolution(*network_, images_, target()));
    compare("grad_cam", grad_cam(*network_, images_, target(), layer_));
    check("guided_grad_cam", guided_grad_cam(*network_, images_, target(), layer_));
    check("unit/saliency", saliency(*network_, images_, unit()));
    check("unit/guided_backprop", guided_backprop(*network_, images_, unit()));
    check("unit/deconvolution", deconvolution(*network_, images_, unit()));
    check("channel/saliency", saliency(*network_, images_, channel()));
  }

  void check_means() const {
    std::vector<at::Tensor> noise;
    for (int64_t k = 0; k < kNoiseSamples; ++k) {
      const std::string name = "input.noise." + std::to_string(k);
      noise.push_back(generated(name, images_.sizes().vec()).to(type_) * 0.1);
    }
    check("smooth_grad", smooth_grad(*network_, images_, target(), at::stack(noise)));
    check("integrated_gradients",
          integrated_gradients(*network_, images_, target(), {.steps = 16}));
    const at::Tensor baseline = generated("input.baseline", {3, 96, 96}).to(type_) * 0.25;
    check("integrated_gradients_from_baseline",
          integrated_gradients(*network_, images_, target(), {.baseline = baseline, .steps = 8}));
  }

  void check_occlusion() const {
    check("occlusion/32_16", occlusion(*network_, images_, target(), {.window = 32, .stride = 16}));
    check("occlusion/40_24",
          occlusion(*network_, images_, target(), {.window = 40, .stride = 24, .value = 0.5}));
  }

  at::ScalarType type_ = at::kFloat;
  std::unique_ptr<Network> network_;
  at::Tensor images_;
  std::string layer_;
  Json unit_;
  double noise_ = 0;
};

TEST_P(Captum, GradientsAgreeInDouble) {
  make(Layout::kChannelsLast, at::kDouble);
  check_gradients();
}

TEST_P(Captum, GradientsAgreeInFloat) {
  make(Layout::kContiguous, at::kFloat);
  check_gradients();
}

// In float32 each image of a mean may meet a ReLU near zero that decides otherwise.
TEST_P(Captum, MeansOfGradientsAgreeInDouble) {
  make(Layout::kChannelsLast, at::kDouble);
  check_means();
}

// By the network that predicts.
TEST_P(Captum, OcclusionAgreesInFloat) {
  make(Layout::kChannelsLast, at::kFloat);
  check_occlusion();
}

INSTANTIATE_TEST_SUITE_P(Zoo, Captum,
                         testing::Values("vgg11_bn", "resnet34", "googlenet", "densenet121",
                                         "squeezenet1_0"),
                         test_name);

// A wider set of reference files, which is not part of the project.
const Weights* shared_reference() {
  const std::filesystem::path path = shared_folder() / "reference" / "classification.safetensors";
  if (!std::filesystem::exists(path)) return nullptr;
  static const Weights file = read_weights(path);
  return &file;
}

constexpr int kSharedThreads = 2;  // of the machine that computed it
constexpr int64_t kSharedClass = 7;

class SharedAttribution : public testing::TestWithParam<std::string> {
 protected:
  static constexpr int64_t kSampling = 16;

  void check(const std::string& key, const at::Tensor& ours) const {
    compare(key, sampled(ours[0], kSampling));
    compare(key + "_norm", norms(ours));
  }
  void compare(const std::string& key, const at::Tensor& ours) const {
    const at::Tensor& reference = shared_reference()->tensors.at(GetParam() + "/" + key);
    EXPECT_LT(relative_error(ours.reshape(reference.sizes()), reference), kTolerance) << key;
  }
};

TEST_P(SharedAttribution, AgreesInFloat) {
  const Weights* file = shared_reference();
  if (file == nullptr) GTEST_SKIP() << "there are no shared reference files here";
  const std::string guided = GetParam() + "/guided_backprop";
  const std::string cam = GetParam() + "/grad_cam/";
  if (!file->tensors.contains(GetParam() + "/input_gradient")) {
    GTEST_SKIP() << "the shared file does not have this network";
  }
  at::set_num_threads(kSharedThreads);
  const auto network =
      generated_network(GetParam(), {3, 224, 224}, Layout::kContiguous, at::kFloat);
  const at::Tensor images = generated("input.eval", {2, 3, 224, 224});
  const Target target = same_target(2, kSharedClass);
  check("input_gradient", saliency(*network, images, target));
  if (!file->tensors.contains(guided)) return;
  check("guided_backprop", guided_backprop(*network, images, target));
  for (const auto& [key, reference] : file->tensors) {
    if (!key.starts_with(cam)) continue;
    std::string layer = key.substr(cam.size());
    // A Fire module is what its last node gives.
    if (GetParam() == "squeezenet1_1") layer += ".concat";
    compare(key.substr(GetParam().size() + 1), grad_cam(*network, images, target, layer));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, SharedAttribution,
                         testing::Values("alexnet", "vgg11", "vgg16", "vgg19_bn", "resnet18",
                                         "resnet34", "resnet50", "resnet101", "googlenet",
                                         "resnext50_32x4d", "wide_resnet50_2", "densenet121",
                                         "densenet169", "squeezenet1_0", "squeezenet1_1"),
                         test_name);

}  // namespace
}  // namespace striate
