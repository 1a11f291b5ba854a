// Whether what an attribution marks is the object. Boxes were drawn by eye around the one object of
// a photo, in the 224x224 pixels that the network sees.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "shared_folder.h"
#include "striate/data/transforms.h"
#include "striate/image/codec.h"
#include "striate/models/models.h"
#include "striate/visualization/attribution.h"

namespace striate {
namespace {

struct Box {
  const char* photo;
  int64_t imagenet_class;
  int64_t left, top, right, bottom;

  at::Tensor of(const at::Tensor& map) const {
    return map.slice(0, top, bottom).slice(1, left, right);
  }
};

constexpr Box kBoxes[] = {
    {"n01440764_tench", 0, 0, 70, 222, 180},
    {"n01622779_great_grey_owl", 24, 50, 25, 185, 220},
    {"n01695060_Komodo_dragon", 48, 0, 78, 195, 132},
    {"n01773157_black_and_gold_garden_spider", 72, 0, 78, 190, 208},
    {"n01843383_toucan", 96, 28, 55, 224, 215},
    {"n01980166_fiddler_crab", 120, 32, 48, 215, 200},
    {"n02051845_pelican", 144, 0, 5, 205, 190},
    {"n02361337_marmot", 336, 48, 65, 150, 135},
    {"n02444819_otter", 360, 40, 82, 115, 155},
    {"n02500267_indri", 384, 40, 55, 160, 170},
    {"n02977058_cash_machine", 480, 50, 10, 175, 224},
};
constexpr int64_t kBlur = 15;

TEST(Pointing, SaliencyFallsOnTheObject) {
  const auto folder = shared_folder() / "data";
  const auto file = folder / "squeezenet1_0" / "squeezenet1_0.safetensors";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "needs " << file;
  Network network(build_model("squeezenet1_0"), read_weights(file));
  network.eval();
  Random random({0});
  for (const Box& box : kBoxes) {
    const auto photo = folder / "photos" / (std::string(box.photo) + ".JPEG");
    FloatImage view =
        named_preprocessing("imagenet").apply(read_image(photo, PixelFormat::kRgb), random).front();
    const at::Tensor image =
        at::from_blob(view.pixels.data(), {1, 224, 224, 3}, at::kFloat).permute({0, 3, 1, 2});
    const at::Tensor map =
        saliency(network, image, same_target(1, box.imagenet_class))[0].abs().amax(0);
    const double gain = (box.of(map).mean() / map.mean()).item<double>();
    EXPECT_GT(gain, 1.1) << box.photo;
    const at::Tensor blurred =
        at::avg_pool2d(map.view({1, 1, 224, 224}), kBlur, 1, kBlur / 2)[0][0];
    EXPECT_EQ(box.of(blurred).max().item<float>(), blurred.max().item<float>()) << box.photo;
    RecordProperty(box.photo, std::to_string(gain));
  }
}

}  // namespace
}  // namespace striate
