// Kills the program with SIGKILL at random moments and lets it go on.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

#include "striate/base/file.h"
#include "striate/base/random.h"
#include "training/tiny_data.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr int kKills = 10;

pid_t start_program(const std::vector<std::string>& arguments) {
  const pid_t child = fork();
  if (child != 0) return child;
  std::vector<char*> pointers;
  std::string program = STRIATE_PROGRAM;
  pointers.push_back(program.data());
  std::vector<std::string> copies = arguments;
  for (std::string& argument : copies) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  freopen("/dev/null", "w", stdout);
  freopen("/dev/null", "w", stderr);
  execv(STRIATE_PROGRAM, pointers.data());
  _exit(127);
}

int wait_for(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(Kill, TenTimesAtRandomMomentsChangesNoBitOfTheFinalWeights) {
  const fs::path folder = fs::path(testing::TempDir()) / "striate_kill";
  fs::remove_all(folder);
  write_tiny_data(folder / "data", 700, 50, 4);
  const std::vector<std::string> train = {"train",
                                          "resnet20",
                                          "--data",
                                          "idx:" + (folder / "data").string(),
                                          "--recipe",
                                          "resnet-fashion",
                                          "--set",
                                          "validation_size=100",
                                          "--batch-size",
                                          "32",
                                          "--epochs",
                                          "6",
                                          "--checkpoint-steps",
                                          "3"};

  std::vector<std::string> undisturbed = train;
  undisturbed.insert(undisturbed.end(), {"--out", (folder / "undisturbed").string()});
  const auto began = std::chrono::steady_clock::now();
  ASSERT_EQ(wait_for(start_program(undisturbed)), 0);
  const double whole_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();

  // A life is a twentieth to a sixth of the undisturbed run, so that ten of them do not reach the
  // end, and some end within the start, a save or an epoch's end.
  Random random({hash_name("kill")});
  const fs::path run = folder / "killed";
  int killed = 0;
  for (int i = 0; i < kKills; ++i) {
    const std::string threads = std::to_string(1 + random.below(4));
    std::vector<std::string> arguments = {
        "train", "--resume", run.string(), "--checkpoint-steps", "3", "--loader-threads", threads};
    if (!fs::exists(run / "recipe.json")) {
      fs::remove_all(run);
      arguments = train;
      arguments.insert(arguments.end(), {"--out", run.string(), "--loader-threads", threads});
    }
    const pid_t child = start_program(arguments);
    std::this_thread::sleep_for(
        std::chrono::duration<double>(whole_seconds * random.uniform(1.0 / 20, 1.0 / 6)));
    kill(child, SIGKILL);
    killed += wait_for(child) == 128 + SIGKILL ? 1 : 0;
  }
  EXPECT_EQ(killed, kKills) << "the run ended before it was killed so often";
  ASSERT_TRUE(fs::exists(run / "recipe.json")) << "no life was long enough";
  ASSERT_EQ(wait_for(start_program({"train", "--resume", run.string()})), 0);
  for (const char* file : {"last.safetensors", "best.safetensors"}) {
    EXPECT_EQ(read_file(run / file), read_file(folder / "undisturbed" / file)) << file;
  }
  EXPECT_TRUE(fs::exists(run / "report.html"));
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(run)) {
    EXPECT_EQ(entry.path().string().find(".part-"), std::string::npos) << entry.path();
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace striate
