#include "cli/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <stdexcept>

#include "striate/base/file.h"
#include "striate/models/models.h"
#include "striate/runtime/network.h"
#include "striate/training/run.h"
#include "training/tiny_data.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kMostSeconds = 60;

// Between fork and exec: system calls only.
[[noreturn]] void become_program(const ProcessOptions& options, char* const* arguments, int out,
                                 int err) {
  const auto limit = static_cast<rlim_t>(options.most_file_bytes);
  const rlimit limits = {.rlim_cur = limit, .rlim_max = limit};
  if (limit > 0) setrlimit(RLIMIT_FSIZE, &limits);
  if (!options.out_path.empty()) out = open(options.out_path.c_str(), O_WRONLY);
  if (chdir(options.folder.c_str()) != 0) _exit(127);
  dup2(open(options.in_path.c_str(), O_RDONLY), STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  execv(STRIATE_PROGRAM, arguments);
  _exit(127);
}

}  // namespace

Process::Process(const ProcessOptions& options) {
  int out[2];
  int err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  std::vector<std::string> copies = joined({"striate"}, options.arguments);
  std::vector<char*> pointers;
  for (std::string& argument : copies) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  child_ = fork();
  if (child_ == 0) become_program(options, pointers.data(), out[1], err[1]);
  close(out[1]);
  close(err[1]);
  out_ = out[0];
  err_ = err[0];
}

Process::~Process() {
  if (child_ > 0) {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  close(out_);
  close(err_);
}

void Process::send(int signal) const {
  kill(child_, signal);
}

Outcome Process::wait() {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + std::chrono::seconds(kMostSeconds);
  Outcome outcome;
  std::array<pollfd, 2> pipes = {pollfd{.fd = out_, .events = POLLIN, .revents = 0},
                                 pollfd{.fd = err_, .events = POLLIN, .revents = 0}};
  while (pipes[0].fd >= 0 || pipes[1].fd >= 0) {
    if (Clock::now() > end) {
      ADD_FAILURE() << "the program still runs after " << kMostSeconds << " s: " << outcome.err;
      kill(child_, SIGKILL);
    }
    poll(pipes.data(), pipes.size(), 1000);
    for (size_t i = 0; i < pipes.size(); ++i) {
      if (pipes[i].fd < 0 || pipes[i].revents == 0) continue;
      std::array<char, 4096> buffer;
      const ssize_t got = read(pipes[i].fd, buffer.data(), buffer.size());
      if (got <= 0) pipes[i].fd = -1;  // poll passes over it
      if (got > 0) (i == 0 ? outcome.out : outcome.err).append(buffer.data(), got);
    }
  }
  int status = 0;
  waitpid(child_, &status, 0);
  child_ = -1;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

Program::Program() {
  setenv("OMP_NUM_THREADS", "1", 1);
}

Outcome Program::run(const std::vector<std::string>& arguments) const {
  return Process({.arguments = arguments, .folder = folder_.path()}).wait();
}

Json Program::json_of(const std::vector<std::string>& arguments) const {
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  Json json = Json::parse(outcome.out, nullptr, /*allow_exceptions=*/false);
  EXPECT_FALSE(json.is_discarded()) << "no JSON: " << outcome.out;
  return json;
}

void Program::expect_failure(const std::vector<std::string>& arguments, int exit_code,
                             const std::vector<std::string>& parts) const {
  std::string trace;
  for (const std::string& argument : arguments) trace += argument + ' ';
  SCOPED_TRACE(trace);
  const auto before = files();
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(has(outcome.err, "striate: error: "));
  EXPECT_TRUE(has(outcome.err, "\nhint: "));
  for (const std::string& part : parts) EXPECT_TRUE(has(outcome.err, part));
  EXPECT_TRUE(files() == before) << "a file was left or changed";
}

void Program::write_data() const {
  write_tiny_data(folder_ / "data", 300, 60, 3);
}

Outcome Program::train(const std::string& run_name, const std::vector<std::string>& more) const {
  return run(joined(joined({"train", "lenet5", "--out", run_name}, quick_flags()), more));
}

void Program::write_weights(const std::string& model, const std::string& name) const {
  const ModelEntry& entry = find_model(model);
  const Network network(build_model(model), 3);
  Weights weights = weights_of(network);
  std::vector<std::string> class_names;
  for (int64_t k = 0; k < entry.defaults.classes; ++k) {
    class_names.push_back(std::to_string(k));
  }
  weights.metadata = to_metadata({.model = model,
                                  .input = entry.defaults.input,
                                  .class_names = class_names,
                                  .preprocessing = named_preprocessing(entry.preprocess)});
  write_safetensors(weights, folder_ / name);
}

std::map<std::string, std::vector<uint8_t>> Program::files() const {
  std::map<std::string, std::vector<uint8_t>> all;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder_.path())) {
    if (entry.is_regular_file()) all[entry.path().string()] = read_file(entry.path());
  }
  return all;
}

std::vector<std::string> quick_flags() {
  return {"--data",   "idx:data", "--batch-size",       "32",    "--set",
          "epochs=6", "--set",    "validation_size=60", "--set", "schedule.warmup_epochs=0"};
}

std::vector<std::string> joined(std::vector<std::string> first,
                                const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

}  // namespace striate
