#include "striate/data/transforms.h"

#include <algorithm>
#include <stdexcept>

#include "data/prepare.h"
#include "striate/base/overloaded.h"

namespace striate {

namespace {

bool needs_floats(const Transform& transform) {
  return std::holds_alternative<transforms::PcaJitter>(transform) ||
         std::holds_alternative<transforms::Normalize>(transform) ||
         std::holds_alternative<transforms::RandomErasing>(transform);
}

void require(bool holds, const char* problem) {
  if (!holds) throw std::invalid_argument(problem);
}

// Bounded, so that sides computed from areas and ratios are whole numbers of 64 bits.
void check_range(const std::array<double, 2>& range, const char* problem) {
  require(range[0] >= 1e-6 && range[0] <= range[1] && range[1] <= 1e6, problem);
}

void check(const Transform& transform) {
  constexpr int64_t kMost = 1 << 14;
  const auto size = [](int64_t n) { require(n >= 1 && n <= kMost, "size must be 1 to 16384"); };
  const auto probability = [](double p) { require(p >= 0 && p <= 1, "p must be in [0, 1]"); };
  const auto padding = [](int64_t n) {
    require(n >= 0 && n <= kMost, "padding must be 0 to 16384");
  };
  std::visit(overloaded{
                 [](const transforms::Channels& t) {
                   require(t.count == 1 || t.count == 3, "channels must be 1 or 3");
                 },
                 [&](const transforms::Resize& t) { size(t.size); },
                 [&](const transforms::Pad& t) { padding(t.padding); },
                 [&](const transforms::CenterCrop& t) { size(t.size); },
                 [&](const transforms::RandomCrop& t) {
                   size(t.size);
                   padding(t.padding);
                 },
                 [&](const transforms::RandomResizedCrop& t) {
                   size(t.size);
                   check_range(t.scale, "scale must be two rising numbers in [1e-6, 1e6]");
                   check_range(t.ratio, "ratio must be two rising numbers in [1e-6, 1e6]");
                 },
                 [&](const transforms::RandomHorizontalFlip& t) { probability(t.p); },
                 [](const transforms::ColorJitter& t) {
                   const auto amount = [](double x) { return x >= 0 && x <= 1000; };
                   require(amount(t.brightness) && amount(t.contrast) && amount(t.saturation) &&
                               t.hue >= 0 && t.hue <= 0.5,
                           "color_jitter needs values from 0 to 1000, and a hue of at most 0.5");
                 },
                 [&](const transforms::TenCrop& t) { size(t.size); },
                 [](const transforms::PcaJitter& t) {
                   require(t.deviation >= 0, "deviation must be at least 0");
                 },
                 [](const transforms::Normalize& t) {
                   require(t.mean.empty() == t.std.empty(),
                           "normalize needs both mean and std, or none");
                   require(std::ranges::all_of(t.std, [](double s) { return s > 0; }),
                           "std must be above 0");
                 },
                 [&](const transforms::RandomErasing& t) {
                   probability(t.p);
                   check_range(t.scale, "scale must be two rising numbers in [1e-6, 1e6]");
                   check_range(t.ratio, "ratio must be two rising numbers in [1e-6, 1e6]");
                 },
             },
             transform);
}

}  // namespace

Preprocessing::Preprocessing(std::vector<Transform> transforms)
    : transforms_(std::move(transforms)) {
  bool floats = false;
  for (const Transform& transform : transforms_) {
    check(transform);
    require(!floats || needs_floats(transform),
            "normalize, pca_jitter and random_erasing come after all other transforms");
    floats = floats || needs_floats(transform);
  }
  require(views() <= 10, "there can be only one ten_crop");
}

std::vector<FloatImage> Preprocessing::apply(Image image, Random& random) const {
  const Preparation preparation(transforms_);
  const PreparedImage prepared = preparation.prepare(std::move(image), random);
  std::vector<FloatImage> views;
  for (int64_t v = 0; v < prepared.views(); ++v) {
    const auto [channels, height, width] = prepared.shape(v);
    FloatImage view{.width = width, .height = height, .channels = channels};
    view.pixels.resize(static_cast<size_t>(width * height * channels));
    prepared.write(v, view.pixels.data());
    views.push_back(std::move(view));
  }
  return views;
}

int64_t Preprocessing::views() const {
  const auto crops = std::ranges::count_if(transforms_, [](const Transform& transform) {
    return std::holds_alternative<transforms::TenCrop>(transform);
  });
  return crops == 0 ? 1 : 10 * crops;
}

}  // namespace striate
