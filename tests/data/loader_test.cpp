#include "striate/data/loader.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <numeric>
#include <thread>

#include "data/made_data.h"
#include "striate/base/file.h"
#include "striate/image/codec.h"

namespace striate {
namespace {

constexpr int64_t kImages = 23;

// An 8x8 image of noise that depends on its index.
Sample noisy_sample(int64_t index) {
  Random random({static_cast<uint64_t>(index)});
  std::vector<uint8_t> values(64);
  for (uint8_t& value : values) value = static_cast<uint8_t>(random.below(256));
  return {.image = grey_image(8, std::move(values)), .label = index % 2};
}

const MadeDataset& noisy_data() {
  static const MadeDataset data(kImages, noisy_sample);
  return data;
}

Preprocessing random_transforms() {
  return Preprocessing({transforms::RandomCrop{.size = 7, .padding = 1},
                        transforms::RandomHorizontalFlip{.p = 0.5},
                        transforms::RandomErasing{.p = 0.5}});
}

LoaderOptions shuffled(int threads) {
  return {.batch_size = 4, .order = Order::kShuffled, .seed = 9, .threads = threads};
}

std::vector<Batch> rest_of(Loader& loader) {
  std::vector<Batch> batches;
  while (std::optional<Batch> batch = loader.next()) batches.push_back(std::move(*batch));
  return batches;
}

std::vector<Batch> epoch_of(Loader& loader, int64_t epoch, int64_t first_batch = 0) {
  loader.start(epoch, first_batch);
  return rest_of(loader);
}

std::vector<int64_t> indices_of(const std::vector<Batch>& batches) {
  std::vector<int64_t> all;
  for (const Batch& batch : batches) {
    all.insert(all.end(), batch.indices.begin(), batch.indices.end());
  }
  return all;
}

void expect_equal(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].indices, b[i].indices) << "batch " << i;
    EXPECT_TRUE(at::equal(a[i].labels, b[i].labels)) << "batch " << i;
    EXPECT_TRUE(at::equal(a[i].images, b[i].images)) << "batch " << i;
  }
}

TEST(Loader, GivesImagesAndLabelsInOrder) {
  Loader loader(noisy_data(), {}, {.batch_size = 4});
  const std::vector<Batch> batches = epoch_of(loader, 0);
  ASSERT_EQ(batches.size(), 6U);
  EXPECT_EQ(loader.batch_count(), 6);
  EXPECT_EQ(batches[5].indices, (std::vector<int64_t>{20, 21, 22}));
  const Batch& second = batches[1];
  EXPECT_EQ(second.images.sizes().vec(), (std::vector<int64_t>{4, 1, 8, 8}));
  EXPECT_EQ(second.labels[3].item<int64_t>(), 1);
  EXPECT_FLOAT_EQ(second.images[2][0][3][5].item<float>(),
                  static_cast<float>(noisy_sample(6).image.pixels[3 * 8 + 5]) / 255.0F);
}

TEST(Loader, KeepsChannelsLastInMemory) {
  const MadeDataset data(2, [](int64_t) {
    return Sample{.image = rgb_image(2, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}), .label = 0};
  });
  Loader loader(data, {}, {.batch_size = 2});
  loader.start(0);
  const at::Tensor images = loader.next()->images;
  EXPECT_EQ(images.sizes().vec(), (std::vector<int64_t>{2, 3, 2, 2}));
  EXPECT_TRUE(images.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_FLOAT_EQ(images[1][2][1][0].item<float>(), 9.0F / 255.0F);
}

TEST(Loader, GivesTheSameBatchesForAnyNumberOfThreads) {
  Loader one(noisy_data(), random_transforms(), shuffled(1));
  const std::vector<Batch> expected = epoch_of(one, 2);
  for (const int threads : {2, 3, 5}) {
    SCOPED_TRACE(threads);
    Loader loader(noisy_data(), random_transforms(), shuffled(threads));
    expect_equal(epoch_of(loader, 2), expected);
  }
}

TEST(Loader, FilesGiveTheBatchesOfTheirDecodedImagesForAnyNumberOfThreads) {
  const TemporaryFolder folder;
  for (int64_t i = 0; i < 10; ++i) {
    Image image = make_image(60 + i, 50, 3);
    Random random({static_cast<uint64_t>(i)});
    for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(random.below(256));
    const std::string name = std::to_string(i) + (i % 2 == 0 ? ".jpg" : ".png");
    write_file_atomically(folder / "all" / name,
                          i % 2 == 0 ? encode_jpeg(image, 90) : encode_png(image));
  }
  const auto files = open_dataset("folder:" + folder.path().string(), Split::kTrain);
  const MadeDataset decoded(10, [&](int64_t index) { return files->sample(index); });
  const Preprocessing preprocessing({transforms::RandomResizedCrop{.size = 40},
                                     transforms::RandomHorizontalFlip{},
                                     transforms::Normalize{.mean = {0.4}, .std = {0.2}}});
  Loader whole(decoded, preprocessing, shuffled(1));
  const std::vector<Batch> expected = epoch_of(whole, 1);
  for (const int threads : {1, 2, 3}) {
    SCOPED_TRACE(threads);
    Loader loader(*files, preprocessing, shuffled(threads));
    expect_equal(epoch_of(loader, 1), expected);
  }
}

TEST(Loader, AnEpochDoesNotDependOnWhatWasLoadedBefore) {
  Loader fresh(noisy_data(), random_transforms(), shuffled(1));
  const std::vector<Batch> expected = epoch_of(fresh, 1);
  Loader used(noisy_data(), random_transforms(), shuffled(3));
  epoch_of(used, 4);
  used.start(0);
  used.next();
  expect_equal(epoch_of(used, 1), expected);
  expect_equal(epoch_of(used, 1), expected);
}

TEST(Loader, StartingInTheMiddleEqualsSkipping) {
  Loader loader(noisy_data(), random_transforms(), shuffled(2));
  const std::vector<Batch> whole = epoch_of(loader, 3);
  for (int64_t first = 0; first <= loader.batch_count(); ++first) {
    SCOPED_TRACE(first);
    expect_equal(epoch_of(loader, 3, first), {whole.begin() + first, whole.end()});
  }
}

TEST(Loader, ShufflesEveryEpochAnew) {
  Loader loader(noisy_data(), {}, shuffled(1));
  const std::vector<int64_t> first = indices_of(epoch_of(loader, 0));
  const std::vector<int64_t> second = indices_of(epoch_of(loader, 1));
  EXPECT_NE(first, second);
  std::vector<int64_t> expected(kImages);
  std::iota(expected.begin(), expected.end(), int64_t{0});
  EXPECT_TRUE(std::ranges::is_permutation(first, expected));
  EXPECT_TRUE(std::ranges::is_permutation(second, expected));
}

TEST(Loader, AnotherSeedGivesAnotherOrderAndOtherAugmentation) {
  LoaderOptions options = {.batch_size = kImages, .seed = 1};
  Loader a(noisy_data(), random_transforms(), options);
  options.seed = 2;
  Loader b(noisy_data(), random_transforms(), options);
  EXPECT_FALSE(at::equal(epoch_of(a, 0)[0].images, epoch_of(b, 0)[0].images));
  options.order = Order::kShuffled;
  Loader c(noisy_data(), {}, options);
  options.seed = 1;
  Loader d(noisy_data(), {}, options);
  EXPECT_NE(indices_of(epoch_of(c, 0)), indices_of(epoch_of(d, 0)));
}

TEST(Loader, AugmentsTheSameImageDifferentlyInTwoEpochs) {
  Loader loader(noisy_data(), random_transforms(), {.batch_size = kImages});
  EXPECT_FALSE(at::equal(epoch_of(loader, 0)[0].images, epoch_of(loader, 1)[0].images));
}

TEST(Loader, DropsAPartialBatchWhenToldTo) {
  Loader drops(noisy_data(), {}, {.batch_size = 4, .last_batch = LastBatch::kDrop});
  EXPECT_EQ(drops.batch_count(), 5);
  EXPECT_EQ(indices_of(epoch_of(drops, 0)).size(), 20U);
  Loader exact(noisy_data(), {}, {.batch_size = kImages, .last_batch = LastBatch::kDrop});
  EXPECT_EQ(epoch_of(exact, 0).size(), 1U);
  Loader larger(noisy_data(), {}, {.batch_size = std::numeric_limits<int64_t>::max()});
  EXPECT_EQ(indices_of(epoch_of(larger, 0)).size(), static_cast<size_t>(kImages));
}

TEST(Loader, RefusesOptionsThatGiveNoBatch) {
  const auto make = [](const LoaderOptions& options) { Loader(noisy_data(), {}, options); };
  EXPECT_THROW(make({.batch_size = 0}), std::invalid_argument);
  EXPECT_THROW(make({.threads = 0}), std::invalid_argument);
  EXPECT_THROW(make({.batch_size = 24, .last_batch = LastBatch::kDrop}), std::invalid_argument);
  EXPECT_THROW(Loader(MadeDataset(0, noisy_sample), {}, {}), std::invalid_argument);
}

TEST(Loader, RefusesToStartOutsideTheEpoch) {
  Loader loader(noisy_data(), {}, {.batch_size = 4});
  for (const int64_t first : {int64_t{-1}, int64_t{7}, std::numeric_limits<int64_t>::max()}) {
    EXPECT_THROW(loader.start(0, first), std::invalid_argument) << first;
  }
}

TEST(Loader, NextBeforeStartIsAnErrorAndDoesNotWait) {
  Loader loader(noisy_data(), {}, {});
  EXPECT_THROW(loader.next(), std::logic_error);
}

TEST(Loader, GivesTheViewsOfAnImageNextToEachOther) {
  const Preprocessing ten({transforms::TenCrop{.size = 3}});
  Loader loader(noisy_data(), ten, {.batch_size = 2});
  loader.start(0);
  const Batch batch = *loader.next();
  EXPECT_EQ(batch.images.size(0), 20);
  EXPECT_EQ(batch.labels.size(0), 2);
  Random random({0});
  const FloatImage view = ten.apply(noisy_sample(1).image, random)[4];
  EXPECT_EQ(batch.images[14][0][2][1].item<float>(), view.pixels[2 * 3 + 1]);
}

TEST(Loader, AnErrorArrivesInItsPlaceAndTheNextBatchesFollow) {
  const MadeDataset data(20, [](int64_t index) {
    if (index == 9) throw FormatError("made/9 is damaged");
    return noisy_sample(index);
  });
  for (const int threads : {1, 2, 5}) {
    SCOPED_TRACE(threads);
    Loader loader(data, {}, {.batch_size = 2, .threads = threads});
    loader.start(0);
    for (int64_t batch = 0; batch < 4; ++batch) EXPECT_EQ(loader.next()->indices[0], 2 * batch);
    EXPECT_EQ(problem_of<FormatError>([&] { loader.next(); }).message, "made/9 is damaged");
    EXPECT_EQ(loader.next()->indices[0], 10);
    EXPECT_EQ(rest_of(loader).size(), 4U);
  }
}

TEST(Loader, ImagesOfTwoSizesAreAnErrorThatNamesTheFirstThatDiffers) {
  const MadeDataset data(4, [](int64_t index) {
    return Sample{.image = make_image(index == 2 ? 5 : 4, 4, 1), .label = 0};
  });
  Loader loader(data, {}, {.batch_size = 4});
  loader.start(0);
  const Problem problem = problem_of<ShapeError>([&] { loader.next(); });
  EXPECT_TRUE(has(problem.message, "made/2 gives (1, 4, 5), the batch has (1, 4, 4)"));
  EXPECT_FALSE(problem.hint.empty());
}

TEST(Loader, ATransformThatDoesNotFitNamesTheImage) {
  const MadeDataset data(4, [](int64_t index) {
    return Sample{.image = make_image(index == 3 ? 5 : 8, 8, 1), .label = 0};
  });
  Loader loader(data, Preprocessing({transforms::RandomCrop{.size = 6}}), {.batch_size = 4});
  loader.start(0);
  const Problem problem = problem_of<ShapeError>([&] { loader.next(); });
  EXPECT_TRUE(has(problem.message, "made/3"));
  EXPECT_TRUE(has(problem.message, "random_crop of 6"));
}

TEST(Loader, IsDestroyedInTheMiddleOfAnEpoch) {
  std::atomic<int64_t> made = 0;
  const MadeDataset data(1000, [&](int64_t index) {
    ++made;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return noisy_sample(index);
  });
  const LoaderOptions options = {.batch_size = 2, .threads = 3};
  { Loader never_started(data, {}, options); }
  {
    Loader untaken(data, {}, options);
    untaken.start(0);
  }
  {
    Loader taken(data, {}, options);
    taken.start(0);
    taken.next();
    taken.start(1);
    taken.next();
  }
  EXPECT_LT(made, 200) << "threads ran on after the end";
}

TEST(Loader, CountsTheTimeThatItWaited) {
  const MadeDataset slow(3, [](int64_t index) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return noisy_sample(index);
  });
  Loader loader(slow, {}, {.batch_size = 1});
  EXPECT_EQ(loader.waited_seconds(), 0);
  loader.start(0);
  rest_of(loader);
  EXPECT_GT(loader.waited_seconds(), 0.03);
  loader.start(1);
  EXPECT_EQ(loader.waited_seconds(), 0);
}

}  // namespace
}  // namespace striate
