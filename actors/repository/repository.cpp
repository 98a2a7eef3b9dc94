#include "actors/repository/repository.hpp"

#include "actors/common/ask.hpp"
#include "actors/common/guard.hpp"
#include "actors/repository/repository_parts.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace repository_parts {

namespace {

constexpr std::size_t times_shown = 5; ///< of the schedule
constexpr std::chrono::seconds place_patience{2};

/// `idle`, `holding`, `claiming`, or what its sync does: `listing`, `working`, `applying`.
std::string phase_of(const repository_state& st) {
  if (!st.running)
    return st.claim ? "idle" : st.claiming ? "claiming" : st.holding ? "holding" : "waiting for the store";
  return st.running->applying ? "applying" : st.running->listed ? "working" : "listing";
}

/// What there is to say of this repository; where it waits is known to others.
caf::result<msg::repository_state_view> state_view(self_ptr self) {
  auto& st = self->state;
  msg::repository_state_view view{st.machine->status(wall_now(st)), st.machine->durable(), phase_of(st), {}, st.machine->plan(wall_now(st), times_shown), st.applied.remote_name};
  auto promise = self->make_response_promise<msg::repository_state_view>();
  if (!st.running || st.running->applying || !st.applied.remote) {
    promise.deliver(std::move(view));
    return promise;
  }
  ask(self, st.applied.remote, place_patience, msg::get_place{st.uid})
    .then(
      [promise, view](const std::string& place) mutable {
        view.place = place;
        promise.deliver(std::move(view));
      },
      [promise, view](caf::error&) mutable { promise.deliver(std::move(view)); });
  return promise;
}

/// The store took neither claim nor close. Only the first failure of a row is said.
void claim_later(self_ptr self, const char* what, const failure& why) {
  if (self->state.claim_failures == 0)
    log::warn(kind, what, {{"key", to_string(self->state.key)}, {"err", describe(why)}});
  try_later(self, why);
}

} // namespace

void try_later(self_ptr self, const failure& why) {
  auto& st = self->state;
  st.cell->set_last_error(describe(why));
  const auto delay = std::min<std::chrono::milliseconds>(st.deps.claim_retry_max, st.deps.claim_retry * (1LL << std::min(st.claim_failures++, 16U)));
  self->delayed_send(self, delay, msg::claim_due{++st.claim_epoch});
}

void close_if_idle(self_ptr self) {
  auto& st = self->state;
  if (st.running || st.claiming)
    return;
  if (!st.claim) {
    self->send(self, msg::claim_due{++st.claim_epoch});
    return;
  }
  ask(self, st.deps.cache, st.deps.store_timeout, msg::close_rows{*st.claim})
    .then(
      [self](bool) {
        log::info(kind, "repository closed, its rows are removed", {{"key", to_string(self->state.key)}});
        self->quit();
      },
      [self](caf::error& e) {
        const auto why = to_failure(e);
        if (why.code == ec::stale)
          self->state.claim.reset();
        claim_later(self, "rows could not be removed; trying again", why);
      });
}

void first_object(self_ptr self) {
  auto& st = self->state;
  st.machine->restore_status(st.applied.object->status);
  st.deps.env.telemetry->repository_counts(st.key, st.machine->durable());
  apply_effects(self, st.machine->on_object(*st.applied.object, wall_now(st)));
  refuse_callers_without_sync(self);
  report_when_blocked(self);
}

/// Readers see the spec's fields through the cache. What could not be stored is stored with the next word from the supervisor.
void open_with_spec(self_ptr self) {
  auto& st = self->state;
  const auto object = st.applied.object;
  if (st.opened && *st.opened == object->spec)
    return;
  ask(self, st.deps.cache, st.deps.store_timeout, msg::open_repository{*st.claim, shared_spec(object)})
    .then([self, object](bool) { self->state.opened = object->spec; },
          [self](caf::error& e) {
            const auto why = to_failure(e);
            if (why.code == ec::stale)
              stop_as_stale(self, why);
            else
              log::warn(kind, "the changed spec could not be stored", {{"key", to_string(self->state.key)}, {"err", describe(why)}});
          });
}

void claim(self_ptr self) {
  auto& st = self->state;
  if (needs_holding(st) && !st.held) {
    st.cell->set_detail("phase", "holding");
    hold(self);
    return;
  }
  no_longer_unheld(self);
  st.claiming = true;
  st.cell->set_detail("phase", "claiming");
  const auto object = st.applied.object;
  ask(self, st.deps.cache, st.deps.store_timeout, msg::claim_repository{st.key, st.uid, st.deps.epoch, shared_spec(object)})
    .then(
      [self, object](const store::repository_claim& claimed) {
        auto& state = self->state;
        state.claiming = false;
        state.claim = claimed;
        state.claim_failures = 0;
        state.cell->set_last_error("");
        state.opened = object->spec;
        state.machine->set_fence(claimed.fence);
        state.basis_holds = claimed.basis_digest == state.machine->durable().basis.digest; // not when the cache was replaced meanwhile
        state.cell->set_detail("phase", "");
        if (state.closing) {
          close_if_idle(self);
          return;
        }
        open_with_spec(self); // it may have changed meanwhile
        first_object(self);
        if (needs_holding(state) && !state.held) // somebody took the finalizer away meanwhile
          hold_again(self);
      },
      [self](caf::error& e) {
        self->state.claiming = false;
        const auto why = to_failure(e);
        claim_later(self, "the repository's rows could not be claimed; trying again", why);
        report_end(self, why); // a single pass does not wait for a disk that somebody has to mend
      });
}

void take_object(self_ptr self) {
  auto& st = self->state;
  open_with_spec(self);
  apply_effects(self, st.machine->on_object(*st.applied.object, wall_now(st)));
  refuse_callers_without_sync(self);
  report_when_blocked(self);
}

void on_apply_object(self_ptr self, const apply_object& m) {
  auto& st = self->state;
  const bool remote_ended = st.applied.remote && m.remote_name == st.applied.remote_name && m.remote != st.applied.remote;
  st.applied = m;
  if (!st.claim || st.closing)
    return; // the claim's continuation gives the machine its first object
  if (remote_ended && st.running) // what was asked of it is never answered
    cancel_running(self, "the remote's actor ended");
  const bool unheld = needs_holding(st);
  if (unheld)
    hold_again(self);
  else
    no_longer_unheld(self);
  if (!unheld || st.held) // somebody took the finalizer away: it is set again meanwhile
    take_object(self);
}

caf::result<msg::sync_done> on_sync_now(self_ptr self, const msg::sync_now& m) {
  auto& st = self->state;
  auto promise = self->make_response_promise<msg::sync_done>();
  st.callers.push_back({st.running.has_value(), promise});
  if (st.closing)
    refuse_callers(st, "the repository is being removed");
  if (!st.claim || st.closing)
    return promise; // the first sync serves
  apply_effects(self, st.machine->on_trigger(m.cause, m.full, wall_now(st)));
  refuse_callers_without_sync(self);
  return promise;
}

void on_wake(self_ptr self) {
  auto& st = self->state;
  apply_effects(self, st.machine->on_time(wall_now(st)));
}

/// A listing is soon had again; what came later is worth waiting for.
void on_exit(self_ptr self, const caf::exit_msg& m) {
  auto& st = self->state;
  st.ending = m.reason == caf::exit_reason::user_shutdown;
  if (!st.ending || !st.running || !st.running->listed)
    self->quit(m.reason);
}

} // namespace repository_parts

using namespace repository_parts;

repository_state::~repository_state() {
  if (running)
    running->cancel->stop = true;
}

repository_actor::behavior_type repository(self_ptr self, repository_deps deps, apply_object first, std::optional<durable_state> restored) {
  install_default_handlers(self, kind);
  auto& st = self->state;
  st.deps = std::move(deps);
  st.key = first.object->meta.key;
  st.uid = first.object->meta.uid;
  st.applied = std::move(first);
  st.cell = st.deps.env.cells->add(kind, to_string(st.key));
  st.machine.emplace(st.deps.machine, st.deps.env.seed ^ std::hash<std::string>{}(st.applied.remote_name), std::move(restored));
  claim(self);
  self->set_exit_handler([self](caf::exit_msg& m) { on_exit(self, m); });
  return {
    [self](const apply_object& m) {
      const handling h{*self->state.cell, "apply_object", self->mailbox().size()};
      on_apply_object(self, m);
    },
    [self](const msg::conflicts_changed& m) {
      const handling h{*self->state.cell, "conflicts_changed", self->mailbox().size()};
      apply_effects(self, self->state.machine->set_conflicts(m.others, wall_now(self->state)));
    },
    [self](const msg::sync_now& m) {
      const handling h{*self->state.cell, "sync_now", self->mailbox().size()};
      return on_sync_now(self, m);
    },
    [self](const msg::get_key&) { return self->state.key; },
    [self](const msg::get_spec&) { return self->state.applied.object; },
    [self](const msg::get_state&) -> caf::result<msg::repository_state_view> {
      const handling h{*self->state.cell, "get_state", self->mailbox().size()};
      return state_view(self);
    },
    [self](const msg::settings_changed& m) {
      auto& state = self->state;
      const handling h{*state.cell, "settings_changed", self->mailbox().size()};
      state.deps.machine = *m.machine;
      const auto effects = state.machine->set_settings(*m.machine, wall_now(state));
      if (state.claim && !state.closing)
        apply_effects(self, effects);
    },
    [self](const msg::close_repository&) {
      auto& state = self->state;
      const handling h{*state.cell, "close_repository", self->mailbox().size()};
      state.closing = true;
      refuse_callers(state, "the repository is being removed");
      if (state.running)
        cancel_running(self, "the repository is being removed"); // and then closes
      else
        close_if_idle(self);
    },
    [self](const msg::wake_due& m) {
      if (m.epoch != self->state.wake_epoch || self->state.closing)
        return;
      const handling h{*self->state.cell, "wake_due", self->mailbox().size()};
      on_wake(self);
    },
    [self](const msg::persist_due& m) {
      if (m.epoch != self->state.persist_epoch)
        return; // a newer state was sent
      const handling h{*self->state.cell, "persist_due", self->mailbox().size()};
      persist(self);
    },
    [self](const msg::claim_due& m) {
      auto& state = self->state;
      if (m.epoch != state.claim_epoch)
        return;
      const handling h{*state.cell, "claim_due", self->mailbox().size()};
      state.hold_waits = false;
      if (state.claim && !state.closing) {
        if (needs_holding(state))
          hold(self);
        else
          no_longer_unheld(self);
      } else if (state.claim) {
        close_if_idle(self);
      } else {
        claim(self);
      }
    },
  };
}

} // namespace veranda
