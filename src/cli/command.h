#pragma once

#include <CLI/CLI.hpp>
#include <atomic>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/json.h"

namespace striate::cli {

// Each adds one verb to the program. Its callback does the work and throws.
void add_bench(CLI::App& program);
void add_compare(CLI::App& program);
void add_convert(CLI::App& program);
void add_data(CLI::App& program);
void add_doctor(CLI::App& program);
void add_evaluate(CLI::App& program);
void add_look(CLI::App& program);
void add_models(CLI::App& program);
void add_predict(CLI::App& program);
void add_recipes(CLI::App& program);
void add_run(CLI::App& program);
void add_score(CLI::App& program);
void add_sample(CLI::App& program);
void add_summary(CLI::App& program);
void add_train(CLI::App& program);
void add_translate(CLI::App& program);

/// What the user asked for can't be: exit code 2.
class UsageError : public Error {
  using Error::Error;
};

/// While it lives, the first Ctrl-C (or SIGTERM) sets `stop_requested` and the second ends the
/// program; otherwise the first one does.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};
const std::atomic<bool>& stop_requested();

/// Results go to the standard output, one JSON document or text; all else to the standard error.
void print(const std::string& text);
void print(const Json& json);
/// Text that is read while it comes.
void stream(const std::string& piece);
void note(const std::string& text);

}  // namespace striate::cli
