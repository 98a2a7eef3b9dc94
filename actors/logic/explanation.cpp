#include "actors/logic/explanation.hpp"

#include "actors/logic/condition_builder.hpp"

#include <algorithm>

namespace veranda::logic {
namespace {

std::string span(wall_time from, wall_time to) {
  return human_duration(std::chrono::duration_cast<std::chrono::seconds>(std::max(to - from, wall_time::duration::zero())));
}

bool may_run(const sync_plan& p) { return p.known && !p.deleted && !p.invalid && !p.suspended; }

/// What a running sync does, by its phase.
std::string doing(const std::string& phase) {
  if (phase == "listing") return "asks the remote for its refs";
  if (phase == "working") return "is fetched, looked through and stored by a worker, or waits for one";
  if (phase == "applying") return "is written to the cache";
  return "ends";
}

std::string why_starting(const std::string& phase) {
  if (phase == "holding") return "its finalizer is being set; the first sync follows";
  if (phase == "claiming") return "its rows in the cache are being claimed; the first sync follows";
  return "its rows in the cache could not be claimed yet; that is tried again and again";
}

/// State and sentence of a repository that may be synced and is known.
void tell_state(const repository_facts& f, wall_time now, explanation& out) {
  const auto& p = f.plan;
  if (p.running && !f.place.empty()) {
    out.state = "queued";
    out.why = "its sync (" + std::string{to_string(p.running->cause)} + ") waits for " + span(p.running->started, now) + ": " + f.place;
  } else if (p.running) {
    out.state = "syncing";
    out.why = "a " + std::string{p.running->full ? "full " : ""} + "sync (" + std::string{to_string(p.running->cause)} + ") began " +
              span(p.running->started, now) + " ago and " + doing(f.phase);
    if (p.running->followed) out.why += "; another one follows it at once";
  } else if (p.error && p.stalled) {
    out.state = "stalled";
    out.why = "the last sync failed, and only a change of the object, its Secret or its remote can help";
  } else if (p.error) {
    out.state = "retrying";
    out.why = p.failures > 1 ? std::to_string(p.failures) + " syncs in a row failed" : "the last sync failed";
  } else if (f.durable.last_success) {
    out.state = "ready";
    out.why = "the cache holds what the remote held at " + format_rfc3339(*f.durable.last_success);
  } else {
    out.state = "starting";
    out.why = "its first sync has not ended yet";
  }
}

void tell_state_when_blocked(const repository_facts& f, explanation& out) {
  const auto& p = f.plan;
  if (!p.known) {
    out.state = "starting";
    out.why = why_starting(f.phase);
  } else if (p.deleted) {
    out.state = "deleted";
    out.why = "the object is being deleted";
  } else if (p.invalid) {
    out.state = "invalid";
    out.why = describe(*p.invalid);
  } else {
    out.state = "suspended";
    out.why = "annotation " + std::string{api_names::suspend_annotation} + " is \"true\"";
  }
}

std::vector<next_sync> planned(const sync_plan& p) {
  std::vector<next_sync> all;
  const auto consider = [&](std::optional<wall_time> due, const char* cause) {
    if (due) all.push_back({.at = p.not_before ? std::max(*due, *p.not_before) : *due, .cause = cause});
  };
  consider(p.run_once, "runOnceAt");
  consider(p.retry, "retry");
  consider(p.scheduled, !p.expression.empty() && p.schedule_problem.empty() ? "cron" : "periodic");
  consider(p.health, "health");
  std::ranges::stable_sort(all, [](const next_sync& a, const next_sync& b) { return *a.at < *b.at; });
  return all;
}

std::string why_next(const sync_plan& p, const next_sync& next) {
  if (next.cause == "runOnceAt") return "spec.sync.runOnceAt, once";
  if (next.cause == "retry") return p.error ? "a retry after the last error (" + std::string{to_string(p.error->code)} + ")" : "what was stopped or had to wait is taken up again";
  if (next.cause == "cron") return "cron expression \"" + p.expression + "\"" + (p.time_zone == "UTC" ? "" : " in " + p.time_zone);
  if (next.cause == "health") return "the remote's refs are listed; a sync follows when they moved" + std::string{!p.expression.empty() && p.schedule_problem.empty() ? ", at the next time of the schedule" : ""};
  const auto every = "every " + format_go_duration(p.period) + " (repo-sync-frequency)";
  return p.expression.empty() ? every : every + ", because the cron expression is not followed: " + p.schedule_problem;
}

std::string why_none(const sync_plan& p) {
  if (!p.known) return "not planned yet";
  if (p.deleted) return "it is being deleted";
  if (p.invalid) return "none until the object is corrected";
  if (p.suspended) return "none until it is resumed (veranda resume); what is asked for meanwhile is remembered";
  return "planned when the sync that runs has ended";
}

bool is_remarkable(const condition& c) {
  return c.type != condition_types::ready && c.type != condition_types::reconciling && c.type != condition_types::stalled;
}

} // namespace

explanation explain(const repository_facts& f, wall_time now) {
  explanation out;
  const auto& p = f.plan;
  if (may_run(p)) {
    tell_state(f, now, out);
    if (!p.running) out.planned = planned(p);
  } else {
    tell_state_when_blocked(f, out);
  }
  out.next_why = out.planned.empty() ? why_none(p) : why_next(p, out.planned.front());
  if (const auto* wrong = p.invalid ? &*p.invalid : p.error ? &*p.error : nullptr) out.advice = advice(wrong->code);
  for (const auto& c : f.status.conditions)
    if (is_remarkable(c)) out.notes.push_back(c.type + ": " + c.message);
  return out;
}

} // namespace veranda::logic
