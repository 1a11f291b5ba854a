#include "striate/data/transforms.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "data/made_data.h"
#include "striate/image/color.h"

namespace striate {
namespace {

using namespace transforms;

// One float per pixel value; those of 8-bit images are exact multiples of 1/255.
std::vector<FloatImage> views_of(const std::vector<Transform>& list, const Image& image,
                                 uint64_t seed = 0) {
  Random random({seed});
  return Preprocessing(list).apply(image, random);
}

std::vector<int> bytes_of(const FloatImage& image) {
  std::vector<int> bytes;
  for (const float value : image.pixels) {
    bytes.push_back(static_cast<int>(std::lround(value * 255.0F)));
  }
  return bytes;
}

std::vector<int> bytes_of(const std::vector<Transform>& list, const Image& image,
                          uint64_t seed = 0) {
  return bytes_of(views_of(list, image, seed).at(0));
}

using Bytes = std::vector<int>;

// Values 0, 1, 2 … row by row.
Image counting_image(int64_t width, int64_t height) {
  Image image = make_image(width, height, 1);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i);
  return image;
}

// Red is x, green is y.
Image coordinates(int64_t width, int64_t height) {
  Image image = make_image(width, height, 3);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      image.row(y)[3 * x] = static_cast<uint8_t>(x);
      image.row(y)[3 * x + 1] = static_cast<uint8_t>(y);
    }
  }
  return image;
}

TEST(NoTransforms, GivesPixelsDividedBy255) {
  const FloatImage image = views_of({}, grey_image(3, {0, 51, 255})).at(0);
  EXPECT_EQ(image.pixels, (std::vector<float>{0.0F, 0.2F, 1.0F}));
  EXPECT_EQ(image.width, 3);
  EXPECT_EQ(image.height, 1);
  EXPECT_EQ(image.channels, 1);
}

TEST(Channels, ConvertToLumaAndBack) {
  const Image primaries = rgb_image(3, {255, 0, 0, 0, 255, 0, 0, 0, 255});
  EXPECT_EQ(bytes_of({Channels{.count = 1}}, primaries), (Bytes{76, 150, 29}));
  EXPECT_EQ(bytes_of({Channels{.count = 3}}, grey_image(2, {7, 9})), (Bytes{7, 7, 7, 9, 9, 9}));
}

TEST(Resize, BringsTheShorterSideToItsSize) {
  const Image image = grey_image(4, {0, 2, 4, 6, 8, 10, 12, 14});
  const Transform shorter = Resize{.size = 1, .interpolation = Interpolation::kBox};
  EXPECT_EQ(bytes_of({shorter}, image), (Bytes{5, 9}));
  const Transform square = Resize{.size = 1, .square = true, .interpolation = Interpolation::kBox};
  EXPECT_EQ(bytes_of({square}, image), Bytes{7});
  const FloatImage odd = views_of({Resize{.size = 256}}, make_image(500, 375, 3)).at(0);
  EXPECT_EQ(odd.width, 341);  // 256 * 500 / 375 = 341.3
  EXPECT_EQ(odd.height, 256);
}

TEST(Pad, PutsZerosOnEverySide) {
  EXPECT_EQ(bytes_of({Pad{.padding = 1}}, grey_image(2, {5, 6})),
            (Bytes{0, 0, 0, 0, 0, 5, 6, 0, 0, 0, 0, 0}));
}

TEST(CenterCrop, RoundsHalvesToEven) {
  const auto first = [](int64_t extent, int64_t size) {
    return bytes_of({CenterCrop{.size = size}}, counting_image(extent, extent)).at(0);
  };
  EXPECT_EQ(first(3, 2), 0);      // 0.5 becomes 0
  EXPECT_EQ(first(5, 2), 2 * 6);  // 1.5 becomes 2
  EXPECT_EQ(first(7, 2), 2 * 8);  // 2.5 becomes 2
  EXPECT_EQ(first(6, 2), 2 * 7);  // exactly 2
  EXPECT_EQ(first(4, 4), 0);
}

TEST(CenterCrop, PutsZerosAroundASmallerImage) {
  EXPECT_EQ(bytes_of({CenterCrop{.size = 4}}, grey_image(1, {9})),
            (Bytes{0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  // Too narrow and too high at once.
  EXPECT_EQ(bytes_of({CenterCrop{.size = 2}}, grey_image(1, {1, 2, 3, 4})), (Bytes{2, 0, 3, 0}));
}

TEST(RandomCrop, ReachesEveryPositionAboutEquallyOften) {
  const Image image = grey_image(3, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  std::map<Bytes, int> counts;
  for (uint64_t seed = 0; seed < 900; ++seed) {
    ++counts[bytes_of({RandomCrop{.size = 3, .padding = 1}}, image, seed)];
  }
  EXPECT_EQ(counts.size(), 9U);
  EXPECT_TRUE(counts.contains({0, 0, 0, 0, 1, 2, 0, 4, 5}));
  EXPECT_TRUE(counts.contains({1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_TRUE(counts.contains({5, 6, 0, 8, 9, 0, 0, 0, 0}));
  // 100 expected; five deviations of the binomial distribution.
  for (const auto& [crop, count] : counts) EXPECT_NEAR(count, 100, 48);
}

TEST(RandomCrop, AnImageThatIsTooSmallIsAnError) {
  const Problem problem = problem_of<ShapeError>([] {
    views_of({RandomCrop{.size = 3}}, grey_image(2, {1, 2, 3, 4, 5, 6}));
  });
  EXPECT_TRUE(has(problem.message, "2x3"));
  EXPECT_FALSE(problem.hint.empty());
}

TEST(RandomResizedCrop, StaysWithinItsScaleAndRatioAndUsesThemUp) {
  constexpr double kArea = 100 * 80;
  const Image image = coordinates(100, 80);
  // Nearest neighbours of a larger output show the crop's first and last pixels.
  const RandomResizedCrop transform{.size = 128, .interpolation = Interpolation::kNearest};
  double smallest = 1;
  double largest = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const Bytes crop = bytes_of({transform}, image, seed);
    const size_t last = crop.size() - 3;
    const double width = crop[last] - crop[0] + 1;
    const double height = crop[last + 1] - crop[1] + 1;
    // The sides are rounded to whole pixels.
    EXPECT_GE((width + 0.5) * (height + 0.5), 0.08 * kArea);
    EXPECT_LE((width - 0.5) * (height - 0.5), kArea);
    EXPECT_GE((width + 0.5) / (height - 0.5), 3.0 / 4.0);
    EXPECT_LE((width - 0.5) / (height + 0.5), 4.0 / 3.0);
    smallest = std::min(smallest, width * height / kArea);
    largest = std::max(largest, width * height / kArea);
  }
  EXPECT_LT(smallest, 0.1);
  EXPECT_GT(largest, 0.9);
}

TEST(RandomResizedCrop, TakesTheMiddleWhereNoPartFits) {
  Image line = make_image(101, 1, 1);
  for (int64_t x = 0; x < 101; ++x) line.pixels[static_cast<size_t>(x)] = static_cast<uint8_t>(x);
  const RandomResizedCrop whole{.size = 1, .scale = {1, 1}};
  EXPECT_EQ(bytes_of({whole}, line), Bytes{50});
  std::swap(line.width, line.height);
  EXPECT_EQ(bytes_of({whole}, line), Bytes{50});
  const Image square = grey_image(2, {1, 2, 3, 4});
  EXPECT_EQ(bytes_of({RandomResizedCrop{.size = 2, .scale = {2, 2}}}, square), (Bytes{1, 2, 3, 4}));
}

TEST(RandomHorizontalFlip, FlipsAsOftenAsItsProbability) {
  const Image image = grey_image(2, {1, 2});
  const auto flips = [&](double p) {
    int count = 0;
    for (uint64_t seed = 0; seed < 2000; ++seed) {
      const Bytes bytes = bytes_of({RandomHorizontalFlip{.p = p}}, image, seed);
      EXPECT_TRUE(bytes == Bytes({1, 2}) || bytes == Bytes({2, 1}));
      count += bytes == Bytes({2, 1}) ? 1 : 0;
    }
    return count;
  };
  EXPECT_EQ(flips(0), 0);
  EXPECT_EQ(flips(1), 2000);
  EXPECT_NEAR(flips(0.3), 600, 103);  // five deviations
}

TEST(ColorJitter, WithoutAmountsChangesNothing) {
  const Image image = rgb_image(2, {10, 200, 30, 40, 50, 250});
  for (uint64_t seed = 0; seed < 10; ++seed) {
    EXPECT_EQ(bytes_of({ColorJitter{}}, image, seed), (Bytes{10, 200, 30, 40, 50, 250}));
  }
}

TEST(ColorJitter, DrawsFactorsFromBothSidesOfOne) {
  const Image image = grey_image(1, {100});
  int least = 255;
  int most = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const int value = bytes_of({ColorJitter{.brightness = 0.4}}, image, seed).at(0);
    least = std::min(least, value);
    most = std::max(most, value);
  }
  EXPECT_GE(least, 60);
  EXPECT_LE(least, 63);
  EXPECT_GE(most, 137);
  EXPECT_LE(most, 140);
  // A factor is never below 0, however large the amount.
  for (uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_NO_THROW(views_of({ColorJitter{.brightness = 9, .contrast = 9}}, image, seed));
  }
}

// The changes in the order that a generator of the same seed draws.
Image jittered(Image image, const ColorJitter& t, Random random,
               std::set<std::vector<int64_t>>& orders) {
  const std::vector<int64_t> order = random.permutation(4);
  orders.insert(order);
  for (const int64_t change : order) {
    if (change == 0)
      image = adjust_brightness(image, random.uniform(1 - t.brightness, 1 + t.brightness));
    if (change == 1) image = adjust_contrast(image, random.uniform(1 - t.contrast, 1 + t.contrast));
    if (change == 2)
      image = adjust_saturation(image, random.uniform(1 - t.saturation, 1 + t.saturation));
    if (change == 3) image = adjust_hue(image, random.uniform(-t.hue, t.hue));
  }
  return image;
}

TEST(ColorJitter, MakesItsChangesInEveryOrder) {
  const Image image = rgb_image(2, {10, 200, 30, 140, 50, 250, 90, 90, 80, 0, 255, 3});
  const ColorJitter transform{.brightness = 0.4, .contrast = 0.3, .saturation = 0.2, .hue = 0.1};
  std::set<std::vector<int64_t>> orders;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const Image expected = jittered(image, transform, Random({seed}), orders);
    EXPECT_EQ(bytes_of({transform}, image, seed),
              Bytes(expected.pixels.begin(), expected.pixels.end()));
  }
  EXPECT_EQ(orders.size(), 24U);
}

TEST(TenCrop, GivesCornersAndCentreThenTheirMirrorImages) {
  const std::vector<FloatImage> views = views_of({TenCrop{.size = 1}}, counting_image(3, 3));
  Bytes firsts;
  for (const FloatImage& view : views) firsts.push_back(bytes_of(view).at(0));
  EXPECT_EQ(firsts, (Bytes{0, 2, 6, 8, 4, 2, 0, 8, 6, 4}));
  EXPECT_EQ(Preprocessing({TenCrop{.size = 1}}).views(), 10);
  EXPECT_EQ(Preprocessing({CenterCrop{.size = 1}}).views(), 1);
}

TEST(TenCrop, MirrorsTheViewsThemselves) {
  const std::vector<FloatImage> views = views_of({TenCrop{.size = 2}}, counting_image(3, 2));
  EXPECT_EQ(bytes_of(views.at(0)), (Bytes{0, 1, 3, 4}));
  EXPECT_EQ(bytes_of(views.at(1)), (Bytes{1, 2, 4, 5}));
  EXPECT_EQ(bytes_of(views.at(5)), (Bytes{2, 1, 5, 4}));
  EXPECT_THROW(views_of({TenCrop{.size = 3}}, counting_image(3, 2)), ShapeError);
}

// krizhevsky2012, 4.1: [p1 p2 p3] [a1 l1, a2 l2, a3 l3] is added to every pixel.
constexpr std::array<double, 3> kEigenvalues = {0.2175, 0.0188, 0.0045};
constexpr double kComponents[3][3] = {
    {-0.5675, -0.5808, -0.5836}, {0.7192, -0.0045, -0.6948}, {0.4009, -0.8140, 0.4203}};

TEST(PcaJitter, EqualsTheClosedFormForTheDrawnNumbers) {
  const Image image = rgb_image(2, {10, 200, 30, 40, 50, 250});
  const FloatImage plain = views_of({}, image).at(0);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random({seed});
    std::array<double, 3> shift = {0, 0, 0};
    for (size_t k = 0; k < 3; ++k) {
      const double amount = 0.1 * random.normal() * kEigenvalues[k];
      for (size_t c = 0; c < 3; ++c) shift[c] += kComponents[k][c] * amount;
    }
    const FloatImage jittered = views_of({PcaJitter{.deviation = 0.1}}, image, seed).at(0);
    for (size_t i = 0; i < plain.pixels.size(); ++i) {
      EXPECT_NEAR(jittered.pixels[i], plain.pixels[i] + shift[i % 3], 1e-6);
    }
  }
}

TEST(PcaJitter, MovesAChannelByItsShareOfEveryComponent) {
  const Image black = rgb_image(1, {0, 0, 0});
  std::array<double, 3> squares = {0, 0, 0};
  constexpr int kDraws = 4000;
  for (uint64_t seed = 0; seed < kDraws; ++seed) {
    const FloatImage image = views_of({PcaJitter{.deviation = 0.5}}, black, seed).at(0);
    for (size_t c = 0; c < 3; ++c) squares[c] += image.pixels[c] * image.pixels[c] / kDraws;
  }
  for (size_t c = 0; c < 3; ++c) {
    double variance = 0;
    for (size_t k = 0; k < 3; ++k) {
      variance += std::pow(0.5 * kComponents[k][c] * kEigenvalues[k], 2);
    }
    EXPECT_NEAR(squares[c] / variance, 1, 0.12);  // five deviations of a variance of 4000 draws
  }
}

TEST(PcaJitter, AGreyImageIsAnError) {
  EXPECT_THROW(views_of({PcaJitter{}}, grey_image(1, {1})), ShapeError);
}

TEST(Normalize, SubtractsTheMeanAndDividesByTheDeviation) {
  const Image image = rgb_image(1, {51, 102, 255});
  const Normalize three{.mean = {0.1, 0.2, 0.5}, .std = {0.5, 0.25, 2}};
  const std::vector<float> values = views_of({three}, image).at(0).pixels;
  EXPECT_NEAR(values[0], 0.2, 1e-6);
  EXPECT_NEAR(values[1], 0.8, 1e-6);
  EXPECT_NEAR(values[2], 0.25, 1e-6);
  const std::vector<float> shared =
      views_of({Normalize{.mean = {0.2}, .std = {0.1}}}, image).at(0).pixels;
  EXPECT_NEAR(shared[1], 2, 1e-5);
}

TEST(Normalize, NumbersThatDoNotFitTheChannelsAreAnError) {
  const Normalize three{.mean = {0.1, 0.2, 0.5}, .std = {1, 1, 1}};
  EXPECT_THROW(views_of({three}, grey_image(1, {1})), ShapeError);
  EXPECT_THROW(views_of({Normalize{}}, grey_image(1, {1})), ShapeError) << "not measured";
}

TEST(RandomErasing, FillsOneRectangleWithNoise) {
  constexpr int64_t kSide = 32;
  const Image black = make_image(kSide, kSide, 1);
  std::vector<double> noise;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const FloatImage image = views_of({RandomErasing{.p = 1}}, black, seed).at(0);
    std::set<int64_t> columns;
    std::set<int64_t> rows;
    int64_t changed = 0;
    for (int64_t i = 0; i < kSide * kSide; ++i) {
      const float value = image.pixels[static_cast<size_t>(i)];
      if (value == 0) continue;
      noise.push_back(value);
      columns.insert(i % kSide);
      rows.insert(i / kSide);
      ++changed;
    }
    const auto width = static_cast<int64_t>(columns.size());
    const auto height = static_cast<int64_t>(rows.size());
    EXPECT_EQ(changed, width * height);
    EXPECT_EQ(*columns.rbegin() - *columns.begin() + 1, width);
    EXPECT_EQ(*rows.rbegin() - *rows.begin() + 1, height);
    const double rounded_up =
        (static_cast<double>(width) + 0.5) * (static_cast<double>(height) + 0.5);
    const double rounded_down =
        (static_cast<double>(width) - 0.5) * (static_cast<double>(height) - 0.5);
    EXPECT_GE(rounded_up, 0.02 * kSide * kSide);
    EXPECT_LE(rounded_down, 0.33 * kSide * kSide);
  }
  double mean = 0;
  double variance = 0;
  for (const double value : noise) mean += value / static_cast<double>(noise.size());
  for (const double value : noise) variance += value * value / static_cast<double>(noise.size());
  EXPECT_NEAR(mean, 0, 0.1);
  EXPECT_NEAR(variance, 1, 0.1);
}

TEST(RandomErasing, ErasesAsOftenAsItsProbability) {
  const Image black = make_image(16, 16, 1);
  int erased = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const std::vector<float> pixels =
        views_of({RandomErasing{.p = 0.25}}, black, seed).at(0).pixels;
    erased += std::ranges::any_of(pixels, [](float value) { return value != 0; }) ? 1 : 0;
  }
  EXPECT_NEAR(erased, 250, 69);  // five deviations
}

TEST(Preprocessing, AppliesItsTransformsInOrder) {
  const Image image = counting_image(4, 4);
  EXPECT_EQ(bytes_of({CenterCrop{.size = 2}, Pad{.padding = 1}}, image)[5], 5);
  EXPECT_EQ(bytes_of({Pad{.padding = 1}, CenterCrop{.size = 2}}, image)[0], 5);
}

TEST(Preprocessing, RefusesAn8BitTransformAfterOneOfFloats) {
  for (const Transform& floats :
       {Transform(Normalize{}), Transform(PcaJitter{}), Transform(RandomErasing{})}) {
    EXPECT_THROW(Preprocessing({floats, CenterCrop{}}), std::invalid_argument);
    EXPECT_NO_THROW(Preprocessing({CenterCrop{}, floats, Normalize{}}));
  }
}

TEST(Preprocessing, RefusesValuesThatMakeNoSense) {
  const std::vector<Transform> wrong = {
      Channels{.count = 2},
      Channels{.count = 4},
      Resize{.size = 0},
      Resize{.size = -5},
      Resize{.size = int64_t{1} << 40},
      Pad{.padding = -1},
      Pad{.padding = int64_t{1} << 40},
      CenterCrop{.size = 0},
      RandomCrop{.size = 0},
      RandomCrop{.size = 1, .padding = -1},
      RandomResizedCrop{.size = 0},
      RandomResizedCrop{.scale = {0.5, 0.2}},
      RandomResizedCrop{.scale = {0, 1}},
      RandomResizedCrop{.scale = {-1, 1}},
      RandomResizedCrop{.scale = {1, 1e300}},
      RandomResizedCrop{.ratio = {0, 1}},
      RandomResizedCrop{.ratio = {1e-300, 1}},
      RandomResizedCrop{.ratio = {2, 1}},
      RandomHorizontalFlip{.p = 1.1},
      RandomHorizontalFlip{.p = -0.1},
      RandomHorizontalFlip{.p = std::numeric_limits<double>::quiet_NaN()},
      ColorJitter{.brightness = -1},
      ColorJitter{.hue = 0.6},
      ColorJitter{.contrast = std::numeric_limits<double>::infinity()},
      TenCrop{.size = 0},
      PcaJitter{.deviation = -1},
      Normalize{.mean = {0.5}, .std = {}},
      Normalize{.mean = {0.5}, .std = {0}},
      Normalize{.mean = {0.5}, .std = {-1}},
      RandomErasing{.p = 2},
      RandomErasing{.scale = {0.5, 0.1}},
  };
  for (size_t i = 0; i < wrong.size(); ++i) {
    EXPECT_THROW(Preprocessing({wrong[i]}), std::invalid_argument) << "number " << i;
  }
}

// Each multiplies the views by ten: a few of them would fill the memory.
TEST(Preprocessing, RefusesASecondTenCrop) {
  EXPECT_THROW(Preprocessing({TenCrop{}, TenCrop{}}), std::invalid_argument);
}

TEST(MeasureNormalization, GivesTheMeanAndDeviationOfEveryChannel) {
  const MadeDataset data(2, [](int64_t index) {
    return Sample{.image = index == 0 ? rgb_image(1, {0, 51, 10}) : rgb_image(1, {255, 153, 10}),
                  .label = 0};
  });
  const Preprocessing measured = measure_normalization(Preprocessing({Normalize{}}), data);
  const auto& numbers = std::get<Normalize>(measured.transforms().at(0));
  EXPECT_EQ(numbers.mean, (std::vector<double>{0.5, 0.4, 0.0392}));
  EXPECT_EQ(numbers.std, (std::vector<double>{0.5, 0.2, 0.0001}));
  EXPECT_FALSE(needs_measuring(measured));
}

TEST(MeasureNormalization, MeasuresPixelsAsTheyReachIt) {
  const MadeDataset data(3,
                         [](int64_t) { return Sample{.image = grey_image(1, {255}), .label = 0}; });
  const Preprocessing padded({CenterCrop{.size = 2}, Normalize{}});
  const auto numbers = std::get<Normalize>(measure_normalization(padded, data).transforms().at(1));
  EXPECT_EQ(numbers.mean, std::vector<double>{0.25});
  EXPECT_EQ(numbers.std, std::vector<double>{0.433});
}

TEST(MeasureNormalization, LeavesNumbersThatAreThere) {
  const MadeDataset data(1, [](int64_t) -> Sample { throw std::logic_error("not needed"); });
  const Preprocessing known({Normalize{.mean = {0.1}, .std = {0.9}}});
  EXPECT_FALSE(needs_measuring(known));
  EXPECT_EQ(measure_normalization(known, data).to_json(), known.to_json());
  EXPECT_FALSE(needs_measuring({}));
  EXPECT_TRUE(needs_measuring(Preprocessing({CenterCrop{}, Normalize{}})));
}

TEST(MeasureNormalization, TakesAboutTenThousandSamplesOfALargeDataSet) {
  int64_t taken = 0;
  int64_t last = 0;
  const MadeDataset data(45'000, [&](int64_t index) {
    ++taken;
    last = index;
    return Sample{.image = grey_image(1, {3}), .label = 0};
  });
  measure_normalization(Preprocessing({Normalize{}}), data);
  EXPECT_GE(taken, 10'000);
  EXPECT_LT(taken, 20'000);
  EXPECT_GT(last, 44'000);
}

}  // namespace
}  // namespace striate
