#include "actors/logic/repository_machine_impl.hpp"

#include <algorithm>

namespace veranda::logic {

void repository_machine::impl::take_settings(const machine_settings& settings, wall_time now, effects& fx) {
  const bool checks_anew = settings.health_check_frequency != settings_.health_check_frequency;
  const bool other_zone = settings.time_zone != settings_.time_zone;
  const bool other_frequency = settings.default_frequency != settings_.default_frequency;
  settings_ = settings;
  const bool waits = plan_.due() && *plan_.due() > now; // what is due stays so
  if (other_zone) {
    const auto due = plan_.due();
    const auto expression = plan_.expression();
    plan_ = schedule_plan{settings_};
    plan_.set_expression(expression);
    if (due) plan_.plan_from(now, last_end_);
    if (due && plan_.by_cron()) schedule_changed_ = now;
  } else if (other_frequency) {
    plan_.set_frequency(settings_.default_frequency);
    if (waits && (!plan_.by_cron() || plan_.runs_never())) plan_.plan_from(now, last_end_);
  }
  if ((other_zone || other_frequency) && plan_.due()) fx.log.push_back("next scheduled time: " + format_rfc3339(*plan_.due()));
  if (!checks_anew || !started_ || running_ || retry_due_) return; // the end of the sync plans the next check
  const auto frequency = settings_.health_check_frequency;
  health_due_ = frequency.count() > 0 ? std::optional{std::min(health_due_.value_or(wall_time::max()), now + frequency)} : std::nullopt;
}

sync_plan repository_machine::impl::plan(wall_time now, std::size_t times) const {
  sync_plan p;
  p.expression = plan_.expression();
  p.schedule_problem = plan_.runs_never() ? "it never comes true" : plan_.problem();
  p.time_zone = plan_.time_zone();
  p.period = plan_.frequency();
  p.upcoming = plan_.upcoming(now, times);
  p.scheduled = plan_.due();
  p.run_once = run_once_.accepted();
  p.retry = retry_due_;
  p.health = health_due_;
  p.not_before = hold_;
  if (running_) {
    const auto& order = running_->order;
    p.running = sync_plan::under_way{.sync_id = order.sync_id, .cause = order.cause, .full = order.full, .started = running_->started, .followed = pending_.has_value()};
  }
  p.invalid = spec_failure_;
  p.error = error_;
  p.failures = streak_.retries;
  p.known = known_;
  p.suspended = suspended_;
  p.deleted = deleted_;
  p.stalled = stalled_;
  return p;
}

} // namespace veranda::logic
