#include "striate/base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "striate/base/error.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              (std::string("striate_file_") +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  size_t files() const {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder_)) ++count;
    return count;
  }

  fs::path folder_;
};

TEST_F(FileTest, WritesReplaceTheOldContentAndLeaveNoTemporaryFile) {
  write_file_atomically(folder_ / "a" / "b.txt", std::string("old"));
  write_file_atomically(folder_ / "a" / "b.txt", std::string("new"));
  EXPECT_EQ(read_text(folder_ / "a" / "b.txt"), "new");
  EXPECT_EQ(files(), 1U);
}

TEST_F(FileTest, AFailedWriteKeepsTheOldFile) {
  write_file_atomically(folder_ / "a", std::string("old"));
  EXPECT_THROW(write_file_atomically(folder_ / "a",
                                     [](const Append& append) {
                                       const uint8_t byte = 1;
                                       append({&byte, 1});
                                       throw Error("the source failed");
                                     }),
               Error);
  EXPECT_EQ(read_text(folder_ / "a"), "old");
  EXPECT_EQ(files(), 1U);
}

// A limit on the size of files stands for a full disk: the kernel refuses the write in the same
// way.
TEST_F(FileTest, AFullDiskIsAnErrorAndKeepsTheOldFile) {
  write_file_atomically(folder_ / "a", std::string("old"));
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_file_atomically(folder_ / "a", std::string(5000, 'x'));
      _exit(1);
    } catch (const IoError&) {
      _exit(0);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(read_text(folder_ / "a"), "old");
  EXPECT_EQ(files(), 1U);
}

TEST_F(FileTest, AMissingFileIsNamed) {
  try {
    read_file(folder_ / "nothing");
    FAIL() << "read";
  } catch (const IoError& error) {
    EXPECT_EQ(std::string(error.what()),
              "can't open " + (folder_ / "nothing").string() + ": No such file or directory");
  }
  EXPECT_THROW(read_file(folder_), IoError);
  EXPECT_THROW(MappedFile{folder_}, IoError);
}

TEST_F(FileTest, AFileOverTheLimitIsRefused) {
  write_file_atomically(folder_ / "a", std::string(100, 'x'));
  EXPECT_THROW(read_file(folder_ / "a", 99), FormatError);
  EXPECT_EQ(read_file(folder_ / "a", 100).size(), 100U);
}

TEST_F(FileTest, PartialFilesOfAKilledProcessAreRemoved) {
  write_file_atomically(folder_ / "weights.safetensors.part-a1b2c3", std::string("half"));
  write_file_atomically(folder_ / "weights.safetensors", std::string("whole"));
  remove_partial_files(folder_);
  EXPECT_EQ(files(), 1U);
  EXPECT_EQ(read_text(folder_ / "weights.safetensors"), "whole");
}

TEST_F(FileTest, TheOnlyFileOfAKindIsFound) {
  EXPECT_EQ(only_file(folder_ / "nowhere", "part_", ".json"), fs::path());
  EXPECT_EQ(only_file(folder_, "part_", ".json"), fs::path());
  for (const char* name : {"part_1.txt", "other.json", "part_1.json"}) {
    write_file_atomically(folder_ / name, std::string("x"));
  }
  EXPECT_EQ(only_file(folder_, "part_", ".json"), folder_ / "part_1.json");
  write_file_atomically(folder_ / "part_2.json", std::string("x"));
  EXPECT_THROW(only_file(folder_, "part_", ".json"), FormatError);
}

TEST_F(FileTest, AFolderIsLockedOnce) {
  {
    const FolderLock lock(folder_ / "run");
    EXPECT_THROW(FolderLock{folder_ / "run"}, IoError);
  }
  EXPECT_NO_THROW(FolderLock{folder_ / "run"});
}

TEST_F(FileTest, WritesThroughALinkAndNotOverAPipe) {
  write_file_atomically(folder_ / "target", std::string("old"));
  fs::create_symlink(folder_ / "target", folder_ / "link");
  write_file_atomically(folder_ / "link", std::string("new"));
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(read_text(folder_ / "target"), "new");
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THROW(write_file_atomically(folder_ / "pipe", std::string("new")), IoError);
  EXPECT_TRUE(fs::is_fifo(folder_ / "pipe"));
}

TEST_F(FileTest, MapsAnEmptyFile) {
  write_file_atomically(folder_ / "a", std::string());
  EXPECT_TRUE(MappedFile(folder_ / "a").bytes().empty());
}

}  // namespace
}  // namespace striate
