#include "actors/repository/repository_parts.hpp"

#include "actors/common/ask.hpp"
#include "actors/common/guard.hpp"
#include "actors/repository/sync_log.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda::repository_parts {

namespace {

constexpr std::chrono::seconds longest_wait{60}; ///< wall-clock waits are sliced

void arm(self_ptr self) {
  auto& st = self->state;
  const auto due = st.machine->next_due();
  st.deps.env.telemetry->repository_next_sync(st.key, st.machine->planned().at);
  if (!due) {
    st.cell->disarm_timer("next");
    return;
  }
  st.cell->arm_timer("next", *due);
  const auto now = wall_now(st);
  const auto wait = std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(*due - now) + std::chrono::milliseconds{1},
                               std::chrono::milliseconds{1}, std::chrono::milliseconds{longest_wait});
  self->delayed_send(self, wait, msg::wake_due{++st.wake_epoch});
}

/// A state that is not written could make a crash repeat a sync, or skip a one-time sync that was accepted: it is written again until it is stored or a newer one follows.
void state_not_written(self_ptr self, std::uint64_t epoch, const failure& why) {
  auto& st = self->state;
  if (why.code == ec::stale) {
    stop_as_stale(self, why);
    return;
  }
  if (!std::exchange(st.persist_failing, true))
    log::warn(kind, "durable state could not be written; trying again", {{"key", to_string(st.key)}, {"err", describe(why)}});
  self->delayed_send(self, st.deps.persist_retry, msg::persist_due{epoch});
}

} // namespace

void stop_as_stale(self_ptr self, const failure& why) {
  log::warn(kind, "the rows of this repository belong to a newer owner; stopping", {{"key", to_string(self->state.key)}, {"err", describe(why)}});
  refuse_callers(self->state, why.what);
  self->quit(to_error(why));
}

void publish(self_ptr self, bool told) {
  auto& st = self->state;
  auto status = st.machine->status(wall_now(st));
  overrule_ready(st, status);
  const auto sync_id = st.running ? st.running->order.sync_id : std::string{};
  if (!told)
    self->send(st.deps.status, msg::publish_status{st.key, st.uid, status, sync_id});
  if (!status.conditions.empty()) {
    const auto& ready = status.conditions.front();
    if (std::exchange(st.last_reason, ready.reason) != ready.reason)
      st.deps.env.telemetry->condition_transition(ready.reason);
    st.cell->set_state(ready.reason);
    st.deps.env.telemetry->repository_ready(st.key, ready.status == "True");
  }
}

void persist(self_ptr self) {
  auto& st = self->state;
  if (!st.claim || st.closing)
    return;
  if (st.running && st.running->applying) { // it would overtake what the transaction under way makes true
    st.running->persist_later = true;
    return;
  }
  ask(self, st.deps.cache, st.deps.store_timeout, msg::put_state{*st.claim, st.machine->durable()})
    .then([self](bool) { self->state.persist_failing = false; },
          [self, epoch = ++st.persist_epoch](caf::error& e) { state_not_written(self, epoch, to_failure(e)); });
}

void apply_effects(self_ptr self, const logic::effects& e) {
  auto& st = self->state;
  for (const auto& line : e.log)
    log_line(st, line);
  if (e.persist)
    persist(self);
  if (e.publish)
    publish(self, e.told);
  if (e.start && !st.running && !st.ending)
    begin_sync(self, *e.start);
  else if (e.cancel_running && st.running)
    cancel_running(self, "the sync was stopped");
  arm(self);
}

} // namespace veranda::repository_parts
