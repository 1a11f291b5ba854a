#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "data/made_data.h"
#include "striate/base/file.h"
#include "striate/data/loader.h"
#include "striate/image/codec.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

// Class folders of small PNGs, 5 to train on and 3 to test on.
class Pack : public testing::Test {
 protected:
  Pack() {
    for (int i = 0; i < 8; ++i) write_image(i, 6, 4);
  }

  void write_image(int number, int64_t width, int64_t height) const {
    Image image = make_image(width, height, 3);
    for (size_t p = 0; p < image.pixels.size(); ++p) {
      image.pixels[p] = static_cast<uint8_t>(31 * static_cast<size_t>(number) + 7 * p);
    }
    const fs::path place = folder_ / (number < 5 ? "data/train" : "data/val");
    const std::string name = std::to_string(number) + ".png";
    write_file_atomically(place / (number % 2 == 0 ? "cat" : "dog") / name, encode_png(image));
  }

  std::string source() const { return "folder:" + (folder_ / "data").string(); }
  fs::path file() const { return folder_ / "data.pack"; }
  std::string spelling() const { return "pack:" + file().string(); }

  std::vector<uint8_t> packed() const {
    write_pack(source(), file(), {});
    return read_file(file());
  }

  // What opening a file of these bytes fails with.
  Problem problem_with(const std::vector<uint8_t>& bytes) const {
    // Without waiting for the disk, as this is done hundreds of times.
    std::ofstream(file(), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    const Problem problem =
        problem_of<FormatError>([&] { open_dataset(spelling(), Split::kTrain); });
    EXPECT_TRUE(has(problem.message, file().string()));
    EXPECT_TRUE(has(problem.hint, "striate data pack"));
    return problem;
  }

  // The file with another header.
  std::vector<uint8_t> with_header(const std::string& from, const std::string& to) const {
    const std::vector<uint8_t> bytes = packed();
    std::string text(bytes.begin(), bytes.end());
    const size_t at = text.find(from, 16);
    EXPECT_LT(at, size_t{16} + bytes[8]);
    text.replace(at, from.size(), to);
    std::vector<uint8_t> changed(text.begin(), text.end());
    changed[8] = static_cast<uint8_t>(bytes[8] + to.size() - from.size());
    return changed;
  }

  TemporaryFolder folder_;
};

void expect_equal(const Dataset& a, const Dataset& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(a.class_names(), b.class_names());
  for (int64_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a.label(i), b.label(i));
    const Sample sample = a.sample(i);
    EXPECT_EQ(sample.label, b.sample(i).label);
    EXPECT_EQ(sample.image.width, b.sample(i).image.width);
    EXPECT_EQ(sample.image.pixels, b.sample(i).image.pixels);
  }
}

TEST_F(Pack, HoldsWhatItsSourceHolds) {
  packed();
  EXPECT_TRUE(has_test_images(spelling()));
  for (const Split split : {Split::kTrain, Split::kTest}) {
    const auto data = open_dataset(spelling(), split);
    expect_equal(*open_dataset(source(), split), *data);
    EXPECT_TRUE(has(data->origin(1), split == Split::kTrain ? "image 1" : "image 6"));
    EXPECT_THROW(data->sample(data->size()), std::out_of_range);
    EXPECT_THROW(data->pending(-1), std::out_of_range);
  }
  // A pack of a pack is the same file.
  const std::vector<uint8_t> once = read_file(file());
  write_pack(spelling(), file(), {});
  EXPECT_EQ(read_file(file()), once);
}

TEST_F(Pack, OfImagesWithoutSplitsIsBothSplits) {
  write_pack("folder:" + (folder_ / "data/train").string(), file(), {});
  EXPECT_FALSE(has_test_images(spelling()));
  expect_equal(*open_dataset(spelling(), Split::kTrain), *open_dataset(spelling(), Split::kTest));
}

TEST_F(Pack, ImagesOfSeveralSizesNeedASize) {
  write_image(3, 9, 5);
  const Problem problem = problem_of<ShapeError>([&] { write_pack(source(), file(), {}); });
  EXPECT_TRUE(has(problem.message, "3.png is 9x5"));
  EXPECT_TRUE(has(problem.hint, "--size N"));
  EXPECT_FALSE(fs::exists(file()));
  write_pack(source(), file(), {.size = 4});
  const Sample sample = open_dataset(spelling(), Split::kTrain)->sample(4);
  EXPECT_EQ(sample.image.width, 4);
  EXPECT_EQ(sample.image.height, 4);
  EXPECT_THROW(write_pack(source(), file(), {.size = -1}), std::invalid_argument);
}

TEST_F(Pack, GivesTheLoaderTheSameBatches) {
  packed();
  const Preprocessing preprocessing({transforms::RandomCrop{.size = 4, .padding = 2},
                                     transforms::RandomHorizontalFlip{},
                                     transforms::Normalize{.mean = {0.4}, .std = {0.3}}});
  const auto files = open_dataset(source(), Split::kTrain);
  const auto pack = open_dataset(spelling(), Split::kTrain);
  const LoaderOptions options{.batch_size = 5, .order = Order::kShuffled, .seed = 3};
  Loader from_files(*files, preprocessing, options);
  Loader from_pack(*pack, preprocessing, options);
  from_files.start(1);
  from_pack.start(1);
  const Batch a = *from_files.next();
  const Batch b = *from_pack.next();
  EXPECT_EQ(a.indices, b.indices);
  ASSERT_EQ(a.images.numel(), 5 * 3 * 4 * 4);
  ASSERT_EQ(b.images.numel(), a.images.numel());
  const float* values = a.images.data_ptr<float>();
  EXPECT_TRUE(std::equal(values, values + a.images.numel(), b.images.data_ptr<float>()));
}

TEST_F(Pack, EveryCutOfAFileAndMoreBytesAreErrors) {
  const std::vector<uint8_t> whole = packed();
  for (size_t size = 0; size < whole.size(); ++size) {
    problem_with({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
  }
  std::vector<uint8_t> longer = whole;
  longer.push_back(0);
  EXPECT_TRUE(has(problem_with(longer).message, "cut short or damaged"));
}

TEST_F(Pack, AnotherFileIsNoPack) {
  std::vector<uint8_t> bytes = packed();
  bytes[0] = 'X';
  EXPECT_TRUE(has(problem_with(bytes).message, "no packed data set"));
}

TEST_F(Pack, SizesThatOverflowAreErrors) {
  std::vector<uint8_t> bytes = packed();
  std::fill_n(bytes.begin() + 8, 8, uint8_t{0xFF});
  EXPECT_TRUE(has(problem_with(bytes).message, "does not fit"));
  const std::string most = "9223372036854775807";
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"width\":6", "\"width\":" + most},
           {"\"width\":6", "\"width\":0"},
           {"\"height\":4", "\"height\":-4"},
           {"\"height\":4", "\"height\":99999999"},
           {"\"width\":6", "\"width\":4294967296"},
           {"\"channels\":3", "\"channels\":2"},
           {"\"training_images\":5", "\"training_images\":" + most},
           {"\"training_images\":5", "\"training_images\":0"},
           {"\"training_images\":5", "\"training_images\":2147483648"},
           {"\"test_images\":3", "\"test_images\":-3"},
           {"\"test_images\":3", "\"test_images\":1152921504606846976"}}) {
    SCOPED_TRACE(to);
    problem_with(with_header(from, to));
  }
}

TEST_F(Pack, AHeaderThatIsNoneOrALabelWithoutAClassIsAnError) {
  std::vector<uint8_t> bytes = packed();
  const size_t labels = size_t{16} + bytes[8];
  bytes[labels + 4 + 3] = 0x80;
  EXPECT_TRUE(has(problem_with(bytes).message, "image 1 has a label 214748364"));
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"width\"", "\"breadth\""}, {"{", "["}, {"[\"cat\"", "[7"}}) {
    write_file_atomically(file(), with_header(from, to));
    EXPECT_THROW(open_dataset(spelling(), Split::kTrain), FormatError) << to;
  }
}

}  // namespace
}  // namespace striate
