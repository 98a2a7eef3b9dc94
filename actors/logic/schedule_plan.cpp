#include "actors/logic/schedule_plan.hpp"

#include <algorithm>

namespace veranda::logic {

void schedule_plan::set_expression(const std::string& expression) {
  expression_ = expression;
  cron_.reset();
  problem_.clear();
  runs_never_ = false;
  if (expression.empty()) return;
  auto parsed = cron_schedule::parse(expression, time_zone_);
  if (parsed.ok()) {
    cron_ = *std::move(parsed);
  } else {
    problem_ = parsed.error().what.empty() ? "is not a cron expression" : parsed.error().what;
  }
}

void schedule_plan::plan_cron(wall_time after, wall_time otherwise) {
  const auto next = cron_->next(after);
  runs_never_ = !next.has_value();
  due_ = next ? *next : otherwise;
}

void schedule_plan::plan_after(wall_time begun, wall_time ended) {
  if (cron_) {
    plan_cron(begun, ended + frequency_);
    heal(ended);
  } else {
    due_ = ended + frequency_;
  }
}

void schedule_plan::plan_from(wall_time now, std::optional<wall_time> last_end) {
  if (cron_) {
    plan_cron(now, now + frequency_);
    return;
  }
  due_ = now + frequency_;
  if (last_end && *last_end <= now && *last_end + frequency_ > now) due_ = *last_end + frequency_;
}

void schedule_plan::advance_by(std::chrono::milliseconds d) {
  if (due_) *due_ -= d;
}

bool schedule_plan::heal(wall_time now) {
  if (!due_) return false;
  if (!cron_ || runs_never_) {
    if (*due_ <= now + frequency_) return false;
    due_ = now + frequency_;
    return true;
  }
  if (*due_ <= now) return false;
  const auto first = cron_->next(now);
  if (!first || *due_ <= *first) return false;
  const auto second = cron_->next(*first);
  if (!second || *due_ <= *second) return false;
  due_ = *first;
  return true;
}

std::vector<wall_time> schedule_plan::upcoming(wall_time now, std::size_t count) const {
  const bool follows_cron = cron_ && !runs_never_;
  auto at = due_ ? std::optional{std::max(*due_, now)} : std::nullopt;
  std::vector<wall_time> times;
  while (at && times.size() < count) {
    times.push_back(*at);
    at = follows_cron ? cron_->next(*at) : std::optional{*at + frequency_};
  }
  return times;
}

} // namespace veranda::logic
