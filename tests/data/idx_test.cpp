#include <gtest/gtest.h>
#include <zlib.h>

#include <map>

#include "data/made_data.h"
#include "striate/base/file.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
  return bytes;
}

// Three images of 2 rows and 3 columns with the values 0 … 17.
std::string images() {
  std::string text = big_endian(0x0803) + big_endian(3) + big_endian(2) + big_endian(3);
  for (char value = 0; value < 18; ++value) text += value;
  return text;
}

std::string labels() {
  return big_endian(0x0801) + big_endian(3) + std::string("\x02\x00\x01", 3);
}

std::string gzipped(const std::string& text) {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY);
  std::string result(deflateBound(&stream, text.size()), '\0');
  std::string input = text;
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  deflate(&stream, Z_FINISH);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

class Idx : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    write_file_atomically(folder_ / name, text);
  }
  void write_train(const std::string& image_text, const std::string& label_text) {
    write("train-images-idx3-ubyte", image_text);
    write("train-labels-idx1-ubyte", label_text);
  }
  std::unique_ptr<Dataset> open(Split split = Split::kTrain) {
    return open_dataset("idx:" + folder_.path().string(), split);
  }
  // The message of the FormatError for these images, which names the file of images.
  std::string problem_of_images(const std::string& image_text) {
    write_train(image_text, labels());
    const std::string message = problem_of<FormatError>([&] { open(); }).message;
    EXPECT_TRUE(has(message, (folder_ / "train-images-idx3-ubyte").string()));
    return message;
  }

  TemporaryFolder folder_;
};

void expect_the_three_images(const Dataset& data) {
  ASSERT_EQ(data.size(), 3);
  const Sample second = data.sample(1);
  EXPECT_EQ(second.image.width, 3);
  EXPECT_EQ(second.image.height, 2);
  EXPECT_EQ(second.image.channels, 1);
  EXPECT_EQ(second.image.pixels, (std::vector<uint8_t>{6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(second.label, 0);
  EXPECT_EQ(data.label(0), 2);
  EXPECT_EQ(data.label(2), 1);
  EXPECT_EQ(data.class_names().size(), 10U);
  EXPECT_EQ(data.class_names()[7], "7");
}

TEST_F(Idx, ReadsPlainFiles) {
  write_train(images(), labels());
  expect_the_three_images(*open());
  EXPECT_TRUE(has(open()->origin(2), (folder_ / "train-images-idx3-ubyte").string()));
  EXPECT_TRUE(has(open()->origin(2), "number 2"));
}

TEST_F(Idx, ReadsGzippedFiles) {
  write("t10k-images-idx3-ubyte.gz", gzipped(images()));
  write("t10k-labels-idx1-ubyte.gz", gzipped(labels()));
  expect_the_three_images(*open(Split::kTest));
}

TEST_F(Idx, HasAClassForEveryLabel) {
  write_train(images(), big_endian(0x0801) + big_endian(3) + std::string("\x00\x2E\x01", 3));
  EXPECT_EQ(open()->class_names().size(), 47U);
}

TEST_F(Idx, AMissingSplitIsNamed) {
  write_train(images(), labels());
  const Problem problem = problem_of<IoError>([&] { open(Split::kTest); });
  EXPECT_TRUE(has(problem.message, "t10k-images-idx3-ubyte"));
  EXPECT_TRUE(has(problem.message, folder_.path().string()));
}

TEST_F(Idx, AnotherMagicNumberIsAnError) {
  EXPECT_TRUE(has(problem_of_images(labels()), "0x0801"));
  EXPECT_TRUE(has(problem_of_images(big_endian(0x0D03) + images().substr(4)), "0x0d03"));
}

TEST_F(Idx, EveryCutIsAnErrorThatSaysWhere) {
  const std::string whole = images();
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_TRUE(has(problem_of_images(whole.substr(0, length)), "ends early")) << length;
  }
  EXPECT_TRUE(has(problem_of_images(whole.substr(0, 20)), "byte 20"));
}

TEST_F(Idx, EveryCutOfAGzippedFileIsAnError) {
  const std::string whole = gzipped(images());
  write("train-labels-idx1-ubyte", labels());
  for (size_t length = 0; length < whole.size(); ++length) {
    write("train-images-idx3-ubyte.gz", whole.substr(0, length));
    EXPECT_TRUE(has(problem_of<FormatError>([&] { open(); }).message, "train-images")) << length;
  }
}

TEST_F(Idx, AGzippedFileWhoseChecksumIsWrongIsAnError) {
  std::string damaged = gzipped(images());
  damaged[damaged.size() - 6] ^= 1;  // in the CRC
  write("train-labels-idx1-ubyte", labels());
  write("train-images-idx3-ubyte.gz", damaged);
  EXPECT_TRUE(has(problem_of<FormatError>([&] { open(); }).message, "data check"));
}

TEST_F(Idx, MoreValuesThanTheHeaderSaysIsAnError) {
  EXPECT_TRUE(has(problem_of_images(images() + "x"), "goes on after its 18 values"));
}

// Two gigabytes that are not there must cost neither memory nor time.
TEST_F(Idx, AHeaderThatPromisesTooMuchIsAnError) {
  const std::string lie = big_endian(0x0803) + big_endian(2'000'000) + big_endian(32) +
                          big_endian(32) + std::string(100, 'x');
  EXPECT_TRUE(has(problem_of_images(lie), "ends early"));
}

TEST_F(Idx, AnAxisOfNothingOrOfTooMuchIsAnError) {
  const std::string magic = big_endian(0x0803);
  EXPECT_TRUE(has(problem_of_images(magic + big_endian(0) + big_endian(2) + big_endian(3)),
                  "an axis of 0 at byte 4"));
  const std::string most = big_endian(0xFFFFFFFF);
  EXPECT_TRUE(has(problem_of_images(magic + most + most + most), "an axis of 4294967295"));
}

TEST_F(Idx, ImagesAndLabelsOfDifferentNumbersAreAnError) {
  write_train(images(), big_endian(0x0801) + big_endian(2) + std::string("\x02\x00", 2));
  const std::string message = problem_of<FormatError>([&] { open(); }).message;
  EXPECT_TRUE(has(message, "3 images"));
  EXPECT_TRUE(has(message, "2 labels"));
}

TEST_F(Idx, AFolderInPlaceOfAFileIsAnError) {
  fs::create_directories(folder_ / "train-images-idx3-ubyte");
  write("train-labels-idx1-ubyte", labels());
  EXPECT_THROW(open(), Error);
}

TEST(FashionMnist, HasSeventyThousandImagesEvenlyOverTenClasses) {
  if (!fs::exists("/usr/share/datasets/fashion-mnist")) {
    GTEST_SKIP() << "Debian's package dataset-fashion-mnist is not installed";
  }
  for (const auto& [split, each] :
       std::map<Split, int64_t>{{Split::kTrain, 6000}, {Split::kTest, 1000}}) {
    const std::unique_ptr<Dataset> data = open_dataset("fashion-mnist", split);
    ASSERT_EQ(data->size(), 10 * each);
    std::map<int64_t, int64_t> counts;
    for (int64_t i = 0; i < data->size(); ++i) ++counts[data->label(i)];
    EXPECT_EQ(counts.size(), 10U);
    for (const auto& [label, count] : counts) EXPECT_EQ(count, each) << label;
    EXPECT_EQ(data->class_names().size(), 10U);
    EXPECT_EQ(data->class_names()[9], "Ankle boot");
    EXPECT_EQ(data->sample(0).image.width, 28);
    EXPECT_EQ(data->sample(0).image.height, 28);
  }
  // The first training image is an ankle boot, whose first row is empty.
  const Sample first = open_dataset("fashion-mnist", Split::kTrain)->sample(0);
  EXPECT_EQ(first.label, 9);
  EXPECT_EQ(std::count(first.image.pixels.begin(), first.image.pixels.begin() + 28, 0), 28);
}

}  // namespace
}  // namespace striate
