#include "striate/training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace striate {

Schedule::Schedule(ScheduleOptions options, int64_t epochs, int64_t steps_per_epoch)
    : options_(std::move(options)),
      warmup_steps_(options_.warmup_epochs * static_cast<double>(steps_per_epoch)),
      total_steps_(epochs * steps_per_epoch),
      steps_per_epoch_(steps_per_epoch) {}

double Schedule::factor(int64_t step) const {
  const auto t = static_cast<double>(step);
  if (t < warmup_steps_) return (t + 1) / warmup_steps_;
  // How much of the time after the warm-up is over.
  const double progress =
      std::min(1.0, (t - warmup_steps_) / (static_cast<double>(total_steps_) - warmup_steps_));
  switch (options_.kind) {
    case ScheduleOptions::Kind::kConstant:
      return 1;
    case ScheduleOptions::Kind::kStep: {
      const int64_t epoch = step / steps_per_epoch_;
      const auto passed =
          std::ranges::count_if(options_.milestones, [&](int64_t m) { return m <= epoch; });
      const int64_t periods = options_.every > 0 ? epoch / options_.every : 0;
      return std::pow(options_.factor, static_cast<double>(passed + periods));
    }
    case ScheduleOptions::Kind::kPlateau:
      return plateau_factor_;
    case ScheduleOptions::Kind::kCosine:  // loshchilov2017, eq. 5, without restarts
      return 0.5 * (1 + std::cos(std::numbers::pi * progress));
    case ScheduleOptions::Kind::kLinear:
      return 1 - progress;
  }
  throw std::logic_error("a schedule without a rule");
}

void Schedule::epoch_ended(double score) {
  if (score > best_score_) {
    best_score_ = score;
    epochs_since_best_ = 0;
  } else if (++epochs_since_best_ >= options_.patience) {
    plateau_factor_ *= options_.factor;
    epochs_since_best_ = 0;
  }
}

Json Schedule::state() const {
  return {{"plateau_factor", plateau_factor_},
          {"best_score", finite_or_null(best_score_)},
          {"epochs_since_best", epochs_since_best_}};
}

void Schedule::load_state(const Json& state) {
  JsonReader reader(state, "schedule state");
  plateau_factor_ = reader.get<double>("plateau_factor");
  const Json& best = reader.at("best_score");  // null: none yet
  if (!best.is_null()) best_score_ = reader.get<double>("best_score");
  epochs_since_best_ = reader.get<int64_t>("epochs_since_best");
  reader.finish();
}

}  // namespace striate
