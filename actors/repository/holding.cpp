#include "actors/common/ask.hpp"
#include "actors/common/log.hpp"
#include "actors/logic/condition_builder.hpp"
#include "actors/repository/repository_parts.hpp"
#include "messages/errors.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda::repository_parts {

namespace {

constexpr unsigned worth_saying = 3;

std::string unheld_text(const repository_state& st) { return "the finalizer " + std::string{api_names::repository_finalizer} + " could not be set: " + describe(*st.unheld); }

/// Nothing of it is cached without a finalizer that says so: its status does, once for each cause.
void say_it_cannot_be_held(self_ptr self, const failure& why) {
  auto& st = self->state;
  if (st.unheld && st.unheld->code == why.code)
    return;
  if (!std::exchange(st.unheld, why))
    st.unheld_since = wall_now(st);
  if (st.claim) {
    publish(self);
    return;
  }
  const auto& object = *st.applied.object;
  auto status = logic::blocked_status(object.status, unheld_text(st), object.meta.generation, st.unheld_since);
  self->send(st.deps.status, msg::publish_status{st.key, st.uid, std::move(status), {}});
}

/// It was there, somebody took it away, and now it is there again. Whoever does so for ever must not keep both writing: the next time it is set later.
void brake(self_ptr self) {
  auto& st = self->state;
  const auto now = self->clock().now();
  if (now >= st.hold_after + st.deps.hold_calm)
    st.set_again = 0;
  const auto delay = std::min<std::chrono::milliseconds>(st.deps.hold_again_max, st.deps.hold_again * (1LL << std::min(st.set_again, 16U)));
  st.hold_after = now + delay;
  if (++st.set_again == worth_saying)
    log::warn(kind, "somebody keeps taking the finalizer away; it is set again, later each time",
              {{"key", to_string(st.key)}, {"finalizer", std::string{api_names::repository_finalizer}}, {"at_most", format_go_duration(st.deps.hold_again_max)}});
}

void held(self_ptr self, bool written) {
  auto& st = self->state;
  st.holding = false;
  if (st.closing)
    return;
  st.claim_failures = 0;
  st.cell->set_last_error("");
  no_longer_unheld(self);
  const bool first = !std::exchange(st.held, true);
  if (!first && written)
    brake(self);
  if (!st.claim)
    claim(self);
  else if (first)
    take_object(self);
}

void not_held(self_ptr self, const failure& why) {
  auto& st = self->state;
  st.holding = false;
  if (st.closing)
    return;
  if (why.code != ec::not_found && class_of(why.code) != error_class::stop)
    say_it_cannot_be_held(self, why);
  if (class_of(why.code) == error_class::needs_change)
    report_end(self, why);
  st.hold_waits = true;
  try_later(self, why); // the keeper of finalizers has said why
}

} // namespace

bool needs_holding(const repository_state& st) {
  const auto& object = *st.applied.object;
  const auto& there = object.meta.finalizers;
  return st.deps.finalizers && !st.closing && !object.meta.deleted && object.problems.empty() &&
         std::find(there.begin(), there.end(), api_names::repository_finalizer) == there.end();
}

void no_longer_unheld(self_ptr self) {
  auto& st = self->state;
  if (std::exchange(st.unheld, std::nullopt) && st.claim && !st.closing)
    publish(self);
}

void overrule_ready(const repository_state& st, repository_status& status) {
  if (st.unheld && !status.conditions.empty())
    status.conditions.front() = logic::blocked_status({}, unheld_text(st), st.applied.object->meta.generation, st.unheld_since).conditions.front();
}

void hold(self_ptr self) {
  auto& st = self->state;
  st.hold_waits = false;
  if (std::exchange(st.holding, true))
    return;
  ask(self, st.deps.finalizers, st.deps.store_timeout, msg::hold_object{st.applied.object->meta})
    .then([self](bool written) { held(self, written); }, [self](caf::error& e) { not_held(self, to_failure(e)); });
}

void hold_again(self_ptr self) {
  auto& st = self->state;
  if (st.holding || st.hold_waits)
    return;
  const auto now = self->clock().now();
  if (now >= st.hold_after) {
    hold(self);
    return;
  }
  st.hold_waits = true;
  self->delayed_send(self, st.hold_after - now, msg::claim_due{++st.claim_epoch});
}

} // namespace veranda::repository_parts
