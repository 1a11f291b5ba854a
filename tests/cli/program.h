#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/made_data.h"
#include "striate/base/json.h"

namespace striate {

/// What a program left when it ended.
struct Outcome {
  int exit_code = -1;  ///< 128 + the signal's number where one ended it
  std::string out;
  std::string err;
};

struct ProcessOptions {
  std::vector<std::string> arguments;
  std::filesystem::path folder;  ///< where it runs
  int64_t most_file_bytes = 0;   ///< writing more to a file fails, as on a full disk; 0: no limit
  std::string out_path;          ///< a file in place of the captured standard output
  std::string in_path = "/dev/null";  ///< what it reads from the standard input
};

/// The program, running. Killed at the end of the scope if it still runs.
class Process {
 public:
  explicit Process(const ProcessOptions& options);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send(int signal) const;
  /// Reads what it writes until it ends; kills it after a minute.
  Outcome wait();

 private:
  pid_t child_ = -1;
  int out_ = -1;
  int err_ = -1;
};

/// Runs the program in a folder of its own, with one compute thread.
class Program : public testing::Test {
 protected:
  Program();

  Outcome run(const std::vector<std::string>& arguments) const;
  /// The JSON document that the standard output holds and nothing else; the exit code must be 0.
  Json json_of(const std::vector<std::string>& arguments) const;
  /// The run must fail so, with a hint, without a result, and leave every file as it was.
  void expect_failure(const std::vector<std::string>& arguments, int exit_code,
                      const std::vector<std::string>& parts) const;

  /// Writes a data set of 300 training and 60 test images of three classes into `data`.
  void write_data() const;
  /// Trains LeNet-5 on it.
  Outcome train(const std::string& run, const std::vector<std::string>& more = {}) const;
  /// Writes a new network's weights that say what they are.
  void write_weights(const std::string& model, const std::string& name) const;
  /// Every file of the folder with its content.
  std::map<std::string, std::vector<uint8_t>> files() const;

  TemporaryFolder folder_;
};

/// The flags that train on `write_data`'s images in well under a second.
std::vector<std::string> quick_flags();

std::vector<std::string> joined(std::vector<std::string> first,
                                const std::vector<std::string>& second);

}  // namespace striate
