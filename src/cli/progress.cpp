#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <iostream>
#include <memory>

namespace striate::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBarWidth = 24;
constexpr const char* kClearLine = "\r\033[K";

std::string bar(double share) {
  const int full = static_cast<int>(share * kBarWidth);
  return std::string(static_cast<size_t>(full), '#') +
         std::string(static_cast<size_t>(kBarWidth - full), '.');
}

// With the accuracy where there is one.
std::string describe(double loss, double accuracy) {
  const std::string text = fmt::format("loss {:.4f}", loss);
  return std::isfinite(accuracy) ? text + fmt::format("  accuracy {:6.2f} %", 100 * accuracy)
                                 : text;
}

}  // namespace

std::string duration(double seconds) {
  const auto total = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  const int64_t hours = total / 3600;
  const int64_t minutes = total / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60)
                   : fmt::format("{}:{:02}", minutes, total % 60);
}

TrainingProgress::TrainingProgress() : terminal_(isatty(STDERR_FILENO) != 0) {}

void TrainingProgress::clear_line() {
  if (terminal_) std::cerr << kClearLine << std::flush;
}

void TrainingProgress::on_step(const StepProgress& p) {
  unit_ = p.unit;
  const Clock::time_point now = Clock::now();
  if (!terminal_ || now - last_shown_ < std::chrono::milliseconds(100)) return;
  last_shown_ = now;
  const double share = static_cast<double>(p.step) / static_cast<double>(p.steps_per_epoch);
  std::cerr << kClearLine
            << fmt::format("epoch {} [{}] {}/{}  loss {:.4f}  {:.0f} {}/s  data {:.0f} %  {} left",
                           p.epoch, bar(share), p.step, p.steps_per_epoch, p.loss,
                           p.items_per_second, unit_, 100 * p.waited_share,
                           duration(p.seconds_left))
            << std::flush;
}

void TrainingProgress::on_epoch(const EpochMetrics& m) {
  clear_line();
  std::string line = fmt::format("epoch {:3}  rate {:.2e}  ", m.epoch, m.learning_rate) +
                     describe(m.train_loss, m.train_accuracy);
  if (std::isfinite(m.validation_loss)) {
    line += "  validation " + describe(m.validation_loss, m.validation_accuracy);
  }
  line += fmt::format("  {:.0f} {}/s  {}", m.items_per_second, unit_, duration(m.seconds));
  std::cerr << line << std::endl;
}

std::function<void(int64_t)> counting_progress(const std::string& what, int64_t total) {
  if (isatty(STDERR_FILENO) == 0) return {};
  auto last = std::make_shared<Clock::time_point>();
  return [=](int64_t done) {
    if (done >= total) {
      std::cerr << kClearLine << std::flush;
    } else if (Clock::now() - *last > std::chrono::milliseconds(100)) {
      *last = Clock::now();
      std::cerr << kClearLine << what << ' ' << done << '/' << total << std::flush;
    }
  };
}

}  // namespace striate::cli
