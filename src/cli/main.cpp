// The program `striate`: one verb a file. See README.md.
#include <fmt/format.h>

#include <algorithm>
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

int report(const std::string& message, const std::string& hint, ExitCode code) {
  std::cerr << "striate: error: " << message << '\n';
  if (!hint.empty()) std::cerr << "hint: " << hint << '\n';
  return code;
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
    return report(error.what(), "striate --help, or striate VERB --help", kWrongUsage);
  } catch (const Interrupted& error) {
    std::cerr << "striate: " << error.what() << '\n' << error.hint() << '\n';
    return kInterrupted;
  } catch (const LookupError& error) {
    return report(error.what(), error.hint(), kWrongUsage);
  } catch (const Error& error) {
    return report(error.what(), error.hint(), kFailed);
  } catch (const std::invalid_argument& error) {
    return report(error.what(), "", kWrongUsage);
  } catch (const std::bad_alloc&) {
    return report("out of memory", "try a smaller --batch-size", kFailed);
  } catch (const std::exception& error) {
    return report(error.what(), "", kFailed);
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

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += i == 0 ? fmt::format("{:<{}}", row[i], widths[i])
                     : fmt::format("  {:>{}}", row[i], widths[i]);
    }
    text += line + "\n";
  }
  return text;
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
