#include "actors/logic/repository_machine_impl.hpp"

#include <algorithm>

namespace veranda::logic {
namespace {

constexpr std::size_t max_runs = 20;
constexpr std::size_t max_kept_bad_items = 10;

} // namespace

void repository_machine::impl::conclude(const running_sync& run, const sync_outcome& outcome, wall_time now, effects& fx) {
  if (!outcome.error) {
    record(run, outcome, now);
    succeed(run, outcome, now, fx);
  } else if (run.cancelled) {
    merge(pending_, run.demand); // its duties pass to the next one
    shown_in_progress_ = run.visible && !blocked();
  } else {
    if (class_of(outcome.error->code) != error_class::stop) record(run, outcome, now);
    fail(run, *outcome.error, now, fx);
  }
}

void repository_machine::impl::fail(const running_sync& run, const failure& f, wall_time now, effects& fx) {
  const auto decision = after_failure(settings_, streak_, f, draw());
  using kind = retry_decision::kind;
  switch (decision.what) {
    case kind::redo: {
      auto again = run.demand;
      again.fresh = true;
      merge(pending_, again);
      shown_in_progress_ = run.visible;
      return;
    }
    case kind::waiting:
    case kind::silent:
      parked_ = run.demand;
      plan_retry(decision.delay, now);
      hold_ = retry_due_;
      return;
    case kind::later: break;
  }
  error_ = f;
  stalled_ = decision.stalled;
  settle_duties(run, fx);
  plan_after(run, now, fx);
  plan_retry(decision.delay, now);
  fx.log.push_back("next try: " + format_rfc3339(*retry_due_));
  health_due_.reset();
  if (run.demand.full) parked_ = {.cause = sync_cause::retry, .full = true, .fresh = false, .due = *retry_due_};
  fx.persist = true;
}

void repository_machine::impl::succeed(const running_sync& run, const sync_outcome& outcome, wall_time now, effects& fx) {
  const bool was_in_error = error_.has_value();
  streak_ = {};
  error_.reset();
  stalled_ = false;
  rechecked_ = true;
  if (run.demand.full || kept_.basis.digest.empty() || !last_full_) last_full_ = now;
  if (!outcome.unchanged) {
    kept_.basis = outcome.basis;
    kept_.hold = outcome.hold;
    kept_.revisions = outcome.stats.revisions;
    kept_.packages = outcome.stats.packages;
    kept_.bad_count = std::max<std::uint64_t>(outcome.stats.bad, outcome.bad.size());
    kept_.bad = outcome.bad;
    if (kept_.bad.size() > max_kept_bad_items) kept_.bad.resize(max_kept_bad_items);
  }
  if (!outcome.unchanged || !outcome.note.empty()) note_ = outcome.note;
  if (run.real) kept_.last_success = now;
  if (run.generation == relevant_generation_) observed_generation_ = object_.meta.generation;
  settle_duties(run, fx);
  plan_after(run, now, fx);
  // A delta was stored together with `durable_after`; a health check that found nothing changed nothing worth keeping.
  if (outcome.unchanged && (run.real || was_in_error)) fx.persist = true;
}

void repository_machine::impl::settle_duties(const running_sync& run, effects& fx) {
  if (!run.request.empty()) kept_.handled_request = run.request;
  if (run.run_once) {
    run_once_.consume(*run.run_once);
    fx.log.emplace_back("finished one-time sync");
  }
}

void repository_machine::impl::plan_after(const running_sync& run, wall_time now, effects& fx) {
  retry_due_.reset();
  if (settings_.health_check_frequency.count() > 0) health_due_ = now + settings_.health_check_frequency;
  if (!run.real) return;
  last_end_ = now;
  plan_.plan_after(std::max(run.started, schedule_changed_), now);
  spread_first_waits();
  if (plan_.due()) fx.log.push_back("next scheduled time: " + format_rfc3339(*plan_.due()));
}

void repository_machine::impl::plan_retry(std::chrono::milliseconds delay, wall_time now) {
  retry_delay_ = delay;
  retry_due_ = now + delay;
}

/// Everything that shares a remote is moved alike, so it keeps sharing listings.
void repository_machine::impl::spread_first_waits() {
  if (was_spread_ || settings_.spread <= 0.0 || !object_.spec.git) return;
  was_spread_ = true;
  std::uint64_t hash = 14695981039346656037U; // FNV-1a
  for (const char c : object_.spec.git->repo) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  hash ^= hash >> 29U;
  const double share = std::min(settings_.spread, 0.9) * (static_cast<double>(hash % 10007U) / 10007.0);
  const auto part = [share](std::chrono::milliseconds d) {
    return std::chrono::milliseconds{static_cast<std::int64_t>(static_cast<double>(d.count()) * share)};
  };
  if (!plan_.by_cron()) plan_.advance_by(part(plan_.frequency()));
  if (health_due_) *health_due_ -= part(settings_.health_check_frequency);
}

void repository_machine::impl::record(const running_sync& run, const sync_outcome& outcome, wall_time now) {
  if (!run.real && outcome.unchanged && !outcome.error) return;
  sync_run entry;
  entry.sync_id = run.order.sync_id;
  entry.cause = run.order.cause;
  entry.started = run.started;
  entry.duration = std::chrono::duration_cast<std::chrono::milliseconds>(std::max(now - run.started, wall_time::duration::zero()));
  entry.ok = !outcome.error;
  entry.unchanged = outcome.unchanged;
  if (outcome.error) entry.error = std::string{to_string(outcome.error->code)} + ": " + describe(*outcome.error);
  entry.stats = outcome.stats;
  entry.phases = outcome.phases;
  kept_.runs.push_back(std::move(entry));
  if (kept_.runs.size() > max_runs) kept_.runs.erase(kept_.runs.begin(), kept_.runs.end() - max_runs);
}

} // namespace veranda::logic
