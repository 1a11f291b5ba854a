// The program `striate`: one verb a file. See README.md.
#include <fmt/format.h>

#include <csignal>
#include <iostream>
#include <stdexcept>

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

constexpr const char* kHelpHint = "striate --help, or striate VERB --help";

int report(const std::string& message, const std::string& hint, ExitCode code) {
  std::cerr << "striate: error: " << message << '\n' << "hint: " << hint << '\n';
  return code;
}

// What to do next when the library does not know better.
std::string hint_of(const Error& error) {
  if (!error.hint().empty()) return error.hint();
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
  for (const auto add : {add_models, add_summary, add_train, add_evaluate, add_predict, add_compare,
                         add_recipes, add_data, add_convert, add_run, add_doctor}) {
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
  } catch (const Error& error) {
    return report(error.what(), hint_of(error), kFailed);
  } catch (const std::invalid_argument& error) {
    return report(error.what(), kHelpHint, kWrongUsage);
  } catch (const std::bad_alloc&) {
    return report("out of memory", "try a smaller --batch-size", kFailed);
  } catch (const std::exception& error) {
    return report(error.what(), "striate doctor shows what this machine has", kFailed);
  }
}

}  // namespace

const std::atomic<bool>& stop_requested() {
  return stop;
}

void print(const std::string& text) {
  std::cout << text;
}
void print(const Json& json) {
  std::cout << json.dump(2) << '\n';
}
void note(const std::string& text) {
  std::cerr << text << '\n';
}

}  // namespace striate::cli

int main(int argc, char** argv) {
  striate::keep_freed_memory();
  std::signal(SIGINT, striate::cli::on_interrupt);
  std::signal(SIGTERM, striate::cli::on_interrupt);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file over the limit is an error of write, not an end
  return striate::cli::run(argc, argv);
}
