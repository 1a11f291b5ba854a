#include <algorithm>
#include <cmath>

#include "striate/data/dataset.h"
#include "striate/data/transforms.h"

namespace striate {

namespace {

constexpr int64_t kMostSamples = 10000;

bool is_unmeasured(const Transform& transform) {
  const auto* normalize = std::get_if<transforms::Normalize>(&transform);
  return normalize != nullptr && normalize->mean.empty();
}

transforms::Normalize measure(const Dataset& dataset, const Preprocessing& before) {
  const int64_t step = std::max<int64_t>(1, dataset.size() / kMostSamples);
  std::vector<double> sum;
  std::vector<double> squares;
  double count = 0;
  for (int64_t i = 0; i < dataset.size(); i += step) {
    Random random({static_cast<uint64_t>(i)});
    const FloatImage image = before.apply(dataset.sample(i).image, random).front();
    const auto channels = static_cast<size_t>(image.channels);
    sum.resize(channels);
    squares.resize(channels);
    for (size_t p = 0; p < image.pixels.size(); ++p) {
      const double value = image.pixels[p];
      sum[p % channels] += value;
      squares[p % channels] += value * value;
    }
    count += static_cast<double>(image.width * image.height);
  }
  // Four digits are enough, and read well in the run's recipe.
  const auto rounded = [](double value) { return std::round(value * 1e4) / 1e4; };
  transforms::Normalize measured;
  for (size_t c = 0; c < sum.size(); ++c) {
    const double mean = sum[c] / count;
    measured.mean.push_back(rounded(mean));
    measured.std.push_back(std::max(1e-4, rounded(std::sqrt(squares[c] / count - mean * mean))));
  }
  return measured;
}

}  // namespace

bool needs_measuring(const Preprocessing& preprocessing) {
  return std::ranges::any_of(preprocessing.transforms(), is_unmeasured);
}

Preprocessing measure_normalization(const Preprocessing& preprocessing, const Dataset& dataset) {
  std::vector<Transform> transforms = preprocessing.transforms();
  const auto normalize = std::ranges::find_if(transforms, is_unmeasured);
  if (normalize == transforms.end()) return preprocessing;
  *normalize = measure(dataset, Preprocessing({transforms.begin(), normalize}));
  return Preprocessing(std::move(transforms));
}

}  // namespace striate
