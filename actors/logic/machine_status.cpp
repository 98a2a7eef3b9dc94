#include "actors/logic/condition_builder.hpp"
#include "actors/logic/deletion_hold.hpp"
#include "actors/logic/repository_machine_impl.hpp"

#include <algorithm>

namespace veranda::logic {

next_sync repository_machine::impl::next_planned() const {
  next_sync next;
  const auto consider = [&](std::optional<wall_time> due, const char* cause) {
    if (!due) return;
    if (hold_) due = std::max(*due, *hold_);
    if (!next.at || *due < *next.at) next = {.at = due, .cause = cause};
  };
  consider(run_once_.accepted(), "runOnceAt");
  consider(retry_due_, "retry");
  consider(plan_.due(), schedule_cause() == sync_cause::cron ? "cron" : "periodic");
  return next;
}

next_sync repository_machine::impl::planned() const {
  if (!known_) return {};
  if (deleted_) return {.at = {}, .cause = "deleted"};
  if (spec_failure_) return {.at = {}, .cause = "invalid"};
  if (suspended_) return {.at = {}, .cause = "suspended"};
  if (running_ && running_->visible) return {.at = {}, .cause = "syncing"};
  return next_planned();
}

std::optional<wall_time> repository_machine::impl::next_due() const {
  if (running_ || blocked()) return std::nullopt;
  auto next = next_planned().at;
  if (health_due_ && (!next || *health_due_ < *next)) next = hold_ ? std::max(*health_due_, *hold_) : *health_due_;
  return next;
}

condition repository_machine::impl::ready() const {
  if (spec_failure_) return error_condition(*spec_failure_);
  if (running_ && running_->visible && !blocked()) return in_progress_condition();
  if (error_) return error_condition(*error_, object_.spec.git ? object_.spec.git->secret_ref : std::string{});
  if (!kept_.last_success) return suspended_ ? suspended_condition() : in_progress_condition();
  std::vector<std::string> notes;
  if (!note_.empty()) {
    notes.push_back(note_);
  } else if (kept_.revisions == 0) {
    notes.push_back(nothing_found_note(object_.spec));
  }
  if (kept_.hold) notes.push_back(held_note(*kept_.hold));
  if (suspended_) notes.push_back("suspended by annotation " + std::string{api_names::suspend_annotation});
  return ready_condition(blocked() ? std::nullopt : next_planned().at, notes);
}

void repository_machine::impl::add_progress(std::vector<condition>& out) const {
  if (spec_failure_) {
    out.push_back(stalled_condition(spec_failure_->code, std::nullopt));
  } else if (suspended_ || deleted_) {
    return;
  } else if ((running_ && running_->visible) || (!kept_.last_success && !error_)) {
    out.push_back(reconciling_condition());
  } else if (error_) {
    out.push_back(stalled_ ? stalled_condition(error_->code, next_planned().at) : retrying_condition(error_->code, next_planned().at));
  }
}

repository_status repository_machine::impl::build_status() const {
  repository_status s;
  s.conditions.push_back(ready());
  add_progress(s.conditions);
  if (kept_.bad_count > 0) s.conditions.push_back(packages_degraded_condition(kept_.bad, kept_.bad_count));
  if (kept_.hold) {
    s.conditions.push_back(
        deletion_held_condition(*kept_.hold, object_.meta.key, settings_.max_delete_percent, release_time(*kept_.hold, settings_.release_deletions_after)));
    s.deletion_permit = kept_.hold->permit;
  }
  if (!plan_.problem().empty() || plan_.runs_never()) {
    s.conditions.push_back(schedule_invalid_condition(plan_.expression(), plan_.problem(), plan_.frequency()));
  }
  if (!conflicts_.empty()) s.conditions.push_back(conflict_condition(conflicts_));
  const auto next = planned();
  s.last_full_sync = kept_.last_success;
  s.next_full_sync = next.at;
  s.next_sync_cause = next.cause;
  s.observed_generation = spec_failure_ || (stalled_ && !running_) ? object_.meta.generation : observed_generation_;
  s.observed_run_once_at = run_once_.observed();
  s.package_count = static_cast<std::int64_t>(kept_.revisions);
  s.git_commit_hash = kept_.basis.commit;
  s.handled_request = kept_.handled_request;
  s.fence = kept_.fence;
  return s;
}

durable_state repository_machine::impl::durable() const {
  auto d = kept_;
  if (known_) {
    d.key = object_.meta.key;
    d.uid = object_.meta.uid;
  }
  d.accepted_run_once = run_once_.accepted();
  d.consumed_run_once = run_once_.consumed();
  d.last_error = error_ ? describe(*error_) : std::string{};
  d.last_error_code = error_ ? std::optional{error_->code} : std::nullopt;
  if (known_) d.next_sync = next_planned().at;
  return d;
}

} // namespace veranda::logic
