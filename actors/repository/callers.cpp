#include "actors/repository/repository_parts.hpp"

#include "actors/common/guard.hpp"
#include "actors/logic/condition_builder.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda::repository_parts {

namespace {

/// The first end of a sync, and the first good one: it ends a series of restarts.
void report_first(self_ptr self, bool ok) {
  auto& st = self->state;
  if (st.first_good || (st.first_reported && !ok))
    return;
  st.first_reported = true;
  st.first_good = ok;
  self->send(st.deps.supervisor, msg::first_sync_finished{st.key, ok});
}

} // namespace

/// Whoever asked before this sync began is answered by it, unless it was stopped for one that follows.
void answer_callers(self_ptr self, const logic::sync_outcome& outcome) {
  auto& st = self->state;
  if (outcome.error && class_of(outcome.error->code) == error_class::stop && !st.closing) {
    for (auto& caller : st.callers)
      caller.served_by_next = false;
    return;
  }
  std::vector<repository_state::waiting_caller> later;
  for (auto& caller : st.callers) {
    if (caller.served_by_next) {
      caller.served_by_next = false;
      later.push_back(std::move(caller));
    } else {
      caller.promise.deliver(msg::sync_done{!outcome.error, outcome.unchanged, outcome.error ? describe(*outcome.error) : "", outcome.stats});
    }
  }
  st.callers = std::move(later);
}

void refuse_callers(repository_state& st, const std::string& why) {
  for (auto& caller : std::exchange(st.callers, {}))
    caller.promise.deliver(msg::sync_done{false, false, "no sync was started: " + why, {}});
}

/// Callers whose sync will not come (suspended, invalid) are told so.
void refuse_callers_without_sync(self_ptr self) {
  auto& st = self->state;
  if (!st.running && !st.machine->next_due())
    refuse_callers(st, st.machine->planned().cause);
}

/// An object that may not be synced has had its first sync: nothing is to be waited for.
void report_when_blocked(self_ptr self) {
  auto& st = self->state;
  if (!st.running && !st.machine->next_due())
    report_first(self, !logic::spec_failure(*st.applied.object));
}

/// A sync that is redone at once, was stopped or waits for a place in the queue is no first sync yet.
void report_end(self_ptr self, const std::optional<failure>& error) {
  if (!error)
    report_first(self, true);
  else if (!self->state.running && class_of(error->code) != error_class::stop && error->code != ec::overloaded)
    report_first(self, false);
  else
    report_when_blocked(self);
}

} // namespace veranda::repository_parts
