#include "actors/logic/repository_machine.hpp"

#include "actors/logic/condition_builder.hpp"
#include "actors/logic/deletion_hold.hpp"
#include "actors/logic/repository_machine_impl.hpp"

#include <algorithm>

namespace veranda::logic {
namespace {

/// True when going from one to the other changes what a sync finds or how it is done.
bool needs_sync(const repository_spec& from, const repository_spec& to) {
  const auto essence = [](repository_spec s) {
    s.description.clear();
    s.sync = {};
    if (s.git) {
      s.git->author.clear();
      s.git->email.clear();
    }
    return s;
  };
  return essence(from) != essence(to);
}

const std::string& annotation(const repository_object& object, std::string_view name) {
  static const std::string none;
  const auto it = object.meta.annotations.find(std::string{name});
  return it == object.meta.annotations.end() ? none : it->second;
}

} // namespace

repository_machine::impl::impl(machine_settings s, std::uint64_t seed, std::optional<durable_state> restored)
    : settings_(std::move(s)), rng_(seed), plan_(settings_) {
  if (!restored) return;
  kept_ = *std::move(restored);
  run_once_ = run_once_plan{kept_.accepted_run_once, kept_.consumed_run_once};
  last_end_ = kept_.last_success;
  if (!kept_.last_error.empty() || kept_.last_error_code) {
    error_ = failure{kept_.last_error_code.value_or(ec::unavailable), kept_.last_error, {}, {}, {}};
    const auto cls = class_of(error_->code);
    stalled_ = cls == error_class::needs_change || cls == error_class::damaged;
  }
}

void repository_machine::impl::begin(wall_time now) {
  if (now < last_now_) heal_clock(now);
  last_now_ = now;
}

void repository_machine::impl::heal_clock(wall_time now) {
  plan_.heal(now);
  const auto within = [now](std::optional<wall_time>& due, std::chrono::milliseconds longest) {
    if (due && *due > now + longest) due = now + longest;
  };
  within(retry_due_, retry_delay_);
  within(hold_, retry_delay_);
  within(health_due_, settings_.health_check_frequency);
  within(last_full_, std::chrono::milliseconds{0});
  within(last_end_, std::chrono::milliseconds{0});
  if (schedule_changed_ > now) schedule_changed_ = now;
  if (kept_.hold) kept_.hold->agreed = std::min(kept_.hold->agreed, now);
}

void repository_machine::impl::take_request(wall_time now) {
  const auto& request = annotation(object_, api_names::sync_requested_annotation);
  if (request.empty() || request == kept_.handled_request || request == seen_request_) return;
  seen_request_ = request;
  const bool full = annotation(object_, api_names::sync_mode_annotation) == "full";
  merge(pending_, {.cause = sync_cause::user, .full = full, .fresh = true, .due = now});
  streak_ = {};
}

void repository_machine::impl::take_permit(wall_time now) {
  if (!kept_.hold || seen_permit_ == kept_.hold->permit || annotation(object_, api_names::allow_deletion_annotation) != kept_.hold->permit) return;
  seen_permit_ = kept_.hold->permit;
  merge(pending_, {.cause = sync_cause::user, .full = false, .fresh = true, .due = now});
  streak_ = {};
}

/// Whether what is held may be allowed now, or was never judged by this process.
void repository_machine::impl::look_at_hold(sync_order& order, wall_time now) const {
  if (!kept_.hold) return;
  const bool asked = annotation(object_, api_names::allow_deletion_annotation) == kept_.hold->permit;
  const auto released = release_time(*kept_.hold, settings_.release_deletions_after);
  if (asked || (released && *released <= now)) order.permit = kept_.hold->permit;
  order.recheck = !order.permit.empty() || !rechecked_;
}

void repository_machine::impl::take_schedule(bool first, wall_time now, effects& fx) {
  const auto& expression = object_.spec.sync.schedule;
  if (!first && expression == plan_.expression()) return;
  plan_.set_expression(expression);
  plan_.plan_from(now, last_end_);
  schedule_changed_ = now;
  if (!first && plan_.due()) fx.log.push_back("next scheduled time: " + format_rfc3339(*plan_.due()));
}

void repository_machine::impl::take_spec(wall_time now, effects& fx) {
  const bool first = !good_spec_.has_value();
  take_schedule(first, now, fx);
  if (run_once_.observe(object_.spec.sync.run_once_at, now, fx.log)) fx.persist = true;
  if (!first && needs_sync(*good_spec_, object_.spec)) {
    relevant_generation_ = object_.meta.generation;
    streak_ = {};
    cancel_running(fx);
    merge(pending_, {.cause = sync_cause::spec_changed, .full = false, .fresh = false, .due = now});
  }
  good_spec_ = object_.spec;
}

void repository_machine::impl::cancel_running(effects& fx) {
  if (!running_ || running_->cancelled) return;
  running_->cancelled = true;
  fx.cancel_running = true;
}

void repository_machine::impl::start_due(wall_time now, effects& fx) {
  if (running_ || blocked()) return;
  auto demand = pending_;
  if (!demand && hold_ && now < *hold_) return;
  const auto consider = [&](const std::optional<wall_time>& due, sync_cause cause) {
    if (due && *due <= now) merge(demand, {.cause = cause, .full = false, .fresh = false, .due = *due});
  };
  consider(run_once_.accepted(), sync_cause::run_once);
  consider(retry_due_, sync_cause::retry);
  consider(plan_.due(), schedule_cause());
  consider(health_due_, sync_cause::health);
  if (!demand) return;
  if (parked_) merge(demand, *parked_);
  start(*demand, now, fx);
}

void repository_machine::impl::start(sync_demand demand, wall_time now, effects& fx) {
  const bool scheduled = demand.cause == sync_cause::periodic || demand.cause == sync_cause::cron;
  if (scheduled && settings_.full_compare_interval.count() > 0 && last_full_ && now - *last_full_ >= settings_.full_compare_interval) {
    demand.full = true;
  }
  running_sync run;
  run.order = {.sync_id = object_.meta.uid.substr(0, 8) + "-" + std::to_string(kept_.fence) + "-" + std::to_string(++sync_counter_),
               .cause = demand.cause,
               .fresh = demand.fresh,
               .full = demand.full,
               .due = demand.due};
  look_at_hold(run.order, now);
  run.demand = demand;
  run.started = now;
  run.generation = relevant_generation_;
  const auto& request = annotation(object_, api_names::sync_requested_annotation);
  if (request != kept_.handled_request) run.request = request;
  if (run_once_.accepted() && *run_once_.accepted() <= now) {
    run.run_once = run_once_.accepted();
    fx.log.emplace_back("triggering one-time sync");
  }
  run.real = demand.cause != sync_cause::health;
  run.visible = shown_in_progress_ || (!kept_.last_success && !error_);
  shown_in_progress_ = false;
  pending_.reset();
  parked_.reset();
  hold_.reset();
  fx.start = run.order;
  running_ = std::move(run);
}

effects repository_machine::impl::finish(effects fx, wall_time now) {
  start_due(now, fx);
  if (known_) {
    auto status = build_status();
    fx.publish = !said_ || !says_the_same(*said_, status) || (told_ && !running_);
    fx.told = fx.publish && running_ && (!said_ || told_) && says_alike(stamped_, status.conditions, object_.meta.generation);
    told_ = fx.told || (told_ && !fx.publish);
    said_ = std::move(status);
  }
  return fx;
}

repository_machine::repository_machine(machine_settings settings, std::uint64_t seed, std::optional<durable_state> restored)
    : impl_(std::make_unique<impl>(std::move(settings), seed, std::move(restored))) {}
repository_machine::~repository_machine() = default;
repository_machine::repository_machine(repository_machine&&) noexcept = default;
repository_machine& repository_machine::operator=(repository_machine&&) noexcept = default;
repository_machine::repository_machine(const repository_machine& other) : impl_(std::make_unique<impl>(*other.impl_)) {}
repository_machine& repository_machine::operator=(const repository_machine& other) {
  if (this != &other) impl_ = std::make_unique<impl>(*other.impl_);
  return *this;
}

void repository_machine::restore_status(const repository_status& published) {
  impl_->stamped_ = published.conditions;
  impl_->observed_generation_ = published.observed_generation;
  impl_->run_once_.restore_told(published.next_sync_cause == "runOnceAt" ? published.next_full_sync : std::nullopt);
}

effects repository_machine::on_object(const repository_object& object, wall_time now) {
  auto& m = *impl_;
  effects fx;
  m.begin(now);
  const bool first = !m.known_;
  const bool was_blocked = m.blocked();
  m.object_ = object;
  m.known_ = true;
  m.spec_failure_ = spec_failure(object);
  m.suspended_ = annotation(object, api_names::suspend_annotation) == "true";
  m.deleted_ = object.meta.deleted.has_value();
  if (first) m.relevant_generation_ = object.meta.generation;
  m.take_request(now);
  m.take_permit(now);
  if (!m.spec_failure_) m.take_spec(now, fx);
  if (m.blocked()) {
    m.cancel_running(fx);
  } else if (!m.started_) {
    m.started_ = true;
    const auto missed = m.kept_.next_sync && *m.kept_.next_sync <= now;
    merge(m.pending_, {.cause = missed ? sync_cause::catch_up : sync_cause::start, .full = false, .fresh = false, .due = missed ? *m.kept_.next_sync : now});
  } else if (was_blocked) { // whoever lets it go on wants to see what is there now
    merge(m.pending_, {.cause = sync_cause::catch_up, .full = false, .fresh = true, .due = now});
  }
  if (m.observed_generation_ >= m.relevant_generation_ && m.observed_generation_ > 0) m.observed_generation_ = object.meta.generation;
  return m.finish(std::move(fx), now);
}

effects repository_machine::on_time(wall_time now) {
  impl_->begin(now);
  return impl_->finish({}, now);
}

effects repository_machine::on_trigger(sync_cause cause, bool full, wall_time now) {
  impl_->begin(now);
  const bool fresh = cause == sync_cause::user || cause == sync_cause::secret_changed;
  merge(impl_->pending_, {.cause = cause, .full = full, .fresh = fresh, .due = now});
  impl_->streak_ = {};
  return impl_->finish({}, now);
}

bool repository_machine::on_listed_changed(wall_time now, effects& out) {
  auto& m = *impl_;
  m.begin(now);
  if (!m.running_) return false;
  auto& run = *m.running_;
  if (!run.real && m.schedule_cause() == sync_cause::cron) return false;
  run.real = true;
  run.visible = true;
  const auto fx = m.finish({}, now);
  out.publish = out.publish || fx.publish;
  return true;
}

std::optional<deletion_hold> repository_machine::judge(const package_delta& delta, const std::string& note, wall_time now) const {
  const auto& m = *impl_;
  if (!m.running_ || !m.good_spec_ || !m.good_spec_->git) return std::nullopt;
  return hold_removals(delta, {.standing = m.kept_.hold,
                               .before = m.kept_.basis,
                               .max_percent = m.settings_.max_delete_percent,
                               .permit = m.running_->order.permit,
                               .cause = cause_of_removals(m.kept_.basis, delta.basis, m.good_spec_->git->branch, note),
                               .now = now});
}

effects repository_machine::on_finished(const sync_outcome& outcome, wall_time now) {
  auto& m = *impl_;
  if (!m.running_ || m.running_->order.sync_id != outcome.sync_id) return {};
  effects fx;
  m.begin(now);
  const auto run = *std::move(m.running_);
  m.running_.reset();
  m.conclude(run, outcome, now, fx);
  return m.finish(std::move(fx), now);
}

std::optional<wall_time> repository_machine::next_due() const { return impl_->next_due(); }
next_sync repository_machine::planned() const { return impl_->planned(); }
sync_plan repository_machine::plan(wall_time now, std::size_t times) const { return impl_->plan(now, times); }
bool repository_machine::syncing() const noexcept { return impl_->running_.has_value(); }
bool repository_machine::dirty() const noexcept { return impl_->running_ && impl_->pending_; }
const repository_object& repository_machine::object() const noexcept { return impl_->object_; }
durable_state repository_machine::durable() const { return impl_->durable(); }
void repository_machine::set_fence(std::int64_t fence) { impl_->kept_.fence = fence; }

repository_status repository_machine::status(wall_time now) {
  auto status = impl_->build_status();
  stamp(status.conditions, impl_->stamped_, impl_->object_.meta.generation, now);
  impl_->stamped_ = status.conditions;
  return status;
}

durable_state repository_machine::durable_after(const sync_outcome& outcome, wall_time now) const {
  auto future = *this;
  future.on_finished(outcome, now);
  return future.durable();
}

effects repository_machine::set_settings(const machine_settings& settings, wall_time now) {
  effects fx;
  impl_->begin(now);
  impl_->take_settings(settings, now, fx);
  return impl_->finish(std::move(fx), now);
}

effects repository_machine::set_conflicts(std::vector<std::string> others, wall_time now) {
  impl_->begin(now);
  std::sort(others.begin(), others.end());
  impl_->conflicts_ = std::move(others);
  return impl_->finish({}, now);
}

} // namespace veranda::logic
