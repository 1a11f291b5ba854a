// The program `striate`: one verb a file. See README.md.
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string_view>

#include "cli/command.h"
#include "striate/base/error.h"
#include "striate/runtime/memory.h"
#include "striate/training/trainer.h"

namespace striate::cli {

namespace {

std::atomic<bool> stop{false};

// The first Ctrl-C asks for a stop after the current step, the second ends the program at once.
void on_interrupt(int signal) {
  stop = true;
  std::signal(signal, SIG_DFL);
}

enum ExitCode { kDone = 0, kFailed = 1, kWrongUsage = 2, kInterrupted = 130 };

constexpr const char* kDoctorHint = "striate doctor shows what this machine has";
constexpr const char* kMemoryHint = "try a smaller --batch-size, or smaller images";
constexpr const char* kHelpHint = "striate --help, or striate VERB --help";

int report(const std::string& message, const std::string& hint, ExitCode code) {
  std::cerr << "striate: error: " << message << '\n' << "hint: " << hint << '\n';
  return code;
}

// LibTorch's own words, for the processor's memory and for CUDA's.
bool tells_of_memory(const std::string& message) {
  return message.find("can't allocate memory") != std::string::npos ||
         message.find("out of memory") != std::string::npos;
}

// What to do next when the library does not know better.
std::string hint_of(const Error& error) {
  if (!error.hint().empty()) return error.hint();
  if (tells_of_memory(error.what())) return kMemoryHint;
  if (dynamic_cast<const IoError*>(&error) != nullptr)
    return "check the path, its rights, the disk";
  if (dynamic_cast<const FormatError*>(&error) != nullptr) {
    return "the file is damaged or of another kind: get or make it again";
  }
  if (dynamic_cast<const ShapeError*>(&error) != nullptr) {
    return "striate summary MODEL shows what each layer takes";
  }
  return kHelpHint;
}

int run(int argc, char** argv) {
  CLI::App program("Trains, evaluates, runs and looks inside the classic vision networks.",
                   "striate");
  program.set_version_flag("--version", STRIATE_VERSION);
  program.require_subcommand(1);
  for (const auto add : {add_models, add_summary, add_train, add_evaluate, add_predict, add_look,
                         add_compare, add_recipes, add_data, add_score, add_convert, add_run,
                         add_sample, add_translate, add_bench, add_doctor}) {
    add(program);
  }
  try {
    program.parse(argc, argv);
    std::cout << std::flush;
    if (!std::cout) throw IoError("can't write the result to the standard output");
    return kDone;
  } catch (const CLI::Success& done) {  // --help, --version
    return program.exit(done);
  } catch (const CLI::ParseError& error) {
    return report(error.what(), kHelpHint, kWrongUsage);
  } catch (const Interrupted& error) {
    std::cerr << "striate: " << error.what() << '\n' << error.hint() << '\n';
    return kInterrupted;
  } catch (const LookupError& error) {
    return report(error.what(), hint_of(error), kWrongUsage);
  } catch (const UsageError& error) {
    return report(error.what(), hint_of(error), kWrongUsage);
  } catch (const Error& error) {
    return report(error.what(), hint_of(error), kFailed);
  } catch (const std::invalid_argument& error) {
    return report(error.what(), kHelpHint, kWrongUsage);
  } catch (const std::bad_alloc&) {
    return report("out of memory", kMemoryHint, kFailed);
  } catch (const c10::Error& error) {
    const std::string message = error.what_without_backtrace();
    return report(message.substr(0, message.find('\n')),
                  tells_of_memory(message) ? kMemoryHint : kDoctorHint, kFailed);
  } catch (const std::exception& error) {
    return report(error.what(), kDoctorHint, kFailed);
  }
}

}  // namespace

InterruptGuard::InterruptGuard() {
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
}

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

const std::atomic<bool>& stop_requested() {
  return stop;
}

void print(const std::string& text) {
  std::cout << text;
}
void print(const Json& json) {
  // A name that is not UTF-8 (a folder's) must not be an error here.
  std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}
void stream(const std::string& piece) {
  std::cout << piece << std::flush;
}
void note(const std::string& text) {
  std::cerr << text << '\n';
}

}  // namespace striate::cli

int main(int argc, char** argv) {
  // For one photo, clearing huge pages would take longer than the prediction.
  const bool repeats = argc < 2 || std::string_view(argv[1]) != "predict";
  if (repeats) striate::pool_memory();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file over the limit is an error of write, not an end
  const int code = striate::cli::run(argc, argv);
#ifdef __SANITIZE_ADDRESS__
  return code;  // leaks are looked for at the usual end
#else
  // All is written; LibTorch's tables of operators need not be taken down.
  std::cout << std::flush;
  std::cerr << std::flush;
  std::_Exit(code);
#endif
}
