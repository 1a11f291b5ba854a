#include <gtest/gtest.h>

#include "data/made_data.h"
#include "striate/base/file.h"

namespace striate {
namespace {

constexpr size_t kRecord = 3073;

// The red plane counts up from `seed`, the green plane is 100, the blue one counts down from 255.
std::string record(uint8_t label, uint8_t seed) {
  std::string bytes(1, static_cast<char>(label));
  for (int i = 0; i < 1024; ++i) bytes += static_cast<char>(seed + i);
  bytes += std::string(1024, 100);
  for (int i = 0; i < 1024; ++i) bytes += static_cast<char>(255 - i);
  return bytes;
}

class Cifar10 : public testing::Test {
 protected:
  void write_batches(const std::string& inside) {
    for (int i = 1; i <= 5; ++i) {
      const auto label = static_cast<uint8_t>(i);
      write_file_atomically(folder_ / (inside + "data_batch_" + std::to_string(i) + ".bin"),
                            record(label, label) + record(0, 50));
    }
    write_file_atomically(folder_ / (inside + "test_batch.bin"), record(9, 7));
  }
  std::unique_ptr<Dataset> open(Split split) {
    return open_dataset("cifar10:" + folder_.path().string(), split);
  }
  Problem problem_of_file(const std::string& bytes) {
    write_file_atomically(folder_ / "one.bin", bytes);
    const Problem problem = problem_of<FormatError>(
        [&] { open_dataset("cifar10:" + (folder_ / "one.bin").string(), Split::kTrain); });
    EXPECT_TRUE(has(problem.message, (folder_ / "one.bin").string()));
    return problem;
  }

  TemporaryFolder folder_;
};

TEST_F(Cifar10, InterleavesThePlanesRedFirst) {
  write_batches("");
  const Sample sample = open(Split::kTrain)->sample(2);
  EXPECT_EQ(sample.label, 2);
  EXPECT_EQ(sample.image.width, 32);
  EXPECT_EQ(sample.image.height, 32);
  ASSERT_EQ(sample.image.channels, 3);
  for (int i = 0; i < 1024; ++i) {
    const uint8_t* pixel = &sample.image.pixels[static_cast<size_t>(3 * i)];
    ASSERT_EQ(pixel[0], static_cast<uint8_t>(2 + i));
    ASSERT_EQ(pixel[1], 100);
    ASSERT_EQ(pixel[2], static_cast<uint8_t>(255 - i));
  }
}

TEST_F(Cifar10, TakesFiveFilesInOrderForTrainingAndOneForTesting) {
  write_batches("");
  const std::unique_ptr<Dataset> training = open(Split::kTrain);
  ASSERT_EQ(training->size(), 10);
  for (int64_t i = 0; i < 10; ++i) EXPECT_EQ(training->label(i), i % 2 == 0 ? i / 2 + 1 : 0);
  EXPECT_EQ(open(Split::kTest)->size(), 1);
  EXPECT_EQ(open(Split::kTest)->label(0), 9);
  EXPECT_EQ(training->class_names().size(), 10U);
  EXPECT_EQ(training->class_names()[3], "cat");
}

TEST_F(Cifar10, FindsTheFolderThatTheArchiveUnpacksTo) {
  write_batches("cifar-10-batches-bin/");
  EXPECT_EQ(open(Split::kTrain)->size(), 10);
}

TEST_F(Cifar10, OneFileIsBothSplits) {
  write_batches("");
  const std::string spelling = "cifar10:" + (folder_ / "data_batch_4.bin").string();
  EXPECT_EQ(open_dataset(spelling, Split::kTrain)->label(0), 4);
  EXPECT_EQ(open_dataset(spelling, Split::kTest)->label(0), 4);
}

TEST_F(Cifar10, TheOriginOfASampleIsItsFileAndRecord) {
  write_batches("");
  const std::unique_ptr<Dataset> data = open(Split::kTrain);
  EXPECT_EQ(data->origin(0), (folder_ / "data_batch_1.bin").string() + " record 0");
  EXPECT_EQ(data->origin(7), (folder_ / "data_batch_4.bin").string() + " record 1");
}

TEST_F(Cifar10, AnIndexOutsideIsAnError) {
  write_batches("");
  EXPECT_THROW(open(Split::kTest)->sample(1), std::out_of_range);
  EXPECT_THROW(open(Split::kTest)->sample(-1), std::out_of_range);
}

TEST_F(Cifar10, AFileThatIsCutOrEmptyIsAnError) {
  const std::string two = record(1, 1) + record(2, 2);
  for (const size_t length : {size_t{0}, size_t{1}, kRecord - 1, kRecord + 1, 2 * kRecord - 1}) {
    const Problem problem = problem_of_file(two.substr(0, length));
    EXPECT_TRUE(has(problem.message, std::to_string(length) + " bytes"));
    EXPECT_FALSE(problem.hint.empty());
  }
}

TEST_F(Cifar10, ALabelAboveNineIsAnErrorThatGivesItsByte) {
  const Problem problem = problem_of_file(record(9, 1) + record(10, 2));
  EXPECT_TRUE(has(problem.message, "label 10 at byte 3073"));
}

TEST_F(Cifar10, AMissingFileIsNamed) {
  write_batches("");
  std::filesystem::remove(folder_ / "data_batch_3.bin");
  EXPECT_TRUE(has(problem_of<IoError>([&] { open(Split::kTrain); }).message, "data_batch_3.bin"));
}

}  // namespace
}  // namespace striate
