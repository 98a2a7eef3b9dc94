#include "actors/supervisor/lives.hpp"

#include "actors/common/ask.hpp"
#include "actors/common/guard.hpp"
#include "actors/logic/condition_builder.hpp"
#include "actors/supervisor/releases.hpp"
#include "actors/supervisor/remotes.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

constexpr const char* kind = supervisor_state::name;
using self_ptr = supervisor_pointer;
using entry = supervisor_state::entry;

constexpr std::chrono::milliseconds conflicts_delay{100};

std::optional<durable_state> take_restored(supervisor_state& st, const std::string& uid) {
  if (!st.restored)
    return std::nullopt;
  auto node = st.restored->extract(uid);
  return node ? std::optional{std::move(node.mapped())} : std::nullopt;
}

void say_it_keeps_dying(self_ptr self, const entry& e) {
  auto& st = self->state;
  const auto& meta = e.object->meta;
  auto status = logic::blocked_status(e.object->status, "internal error: the actor of this repository ended " + std::to_string(e.restarts) + " times in a row; see the daemon's log",
                                      meta.generation, st.deps.env.wall_now());
  self->send(st.deps.repository.status, msg::publish_status{meta.key, meta.uid, std::move(status), {}});
}

/// The one that this timer was armed for, when it still waits.
entry* waiting_for(supervisor_state& st, const msg::restart_due& m) {
  const auto at = st.entries.find(m.key);
  const bool waits = at != st.entries.end() && at->second.restart_epoch == m.epoch && !at->second.handle && !st.shutting_down;
  return waits ? &at->second : nullptr;
}

/// Only damage, which loses what is durable, lets it start without.
void restart_without_state(self_ptr self, entry& e, const failure& why) {
  auto& st = self->state;
  if (class_of(why.code) == error_class::damaged) {
    log::warn(kind, "the durable state of a repository is lost; it starts anew", {{"key", to_string(e.object->meta.key)}, {"err", describe(why)}});
    spawn_repository(self, e);
    return;
  }
  if (std::exchange(st.restore_problem, why) != why)
    log::warn(kind, "a repository's actor cannot start again before its durable state can be read; trying again", {{"key", to_string(e.object->meta.key)}, {"err", describe(why)}});
  self->delayed_send(self, st.deps.restore_retry, msg::restart_due{e.object->meta.key, ++e.restart_epoch});
}

} // namespace

void arm_conflicts(self_ptr self) {
  if (std::exchange(self->state.conflicts_armed, true))
    return;
  self->delayed_send(self, conflicts_delay, msg::conflicts_due{});
}

void spawn_repository(self_ptr self, entry& e) {
  auto& st = self->state;
  auto deps = st.deps.repository;
  deps.supervisor = self;
  deps.package_revs = st.deps.package_revs;
  const auto& meta = e.object->meta;
  e.handle = self->spawn<caf::monitored>(repository, std::move(deps), to_apply(self, e), take_restored(st, meta.uid));
  e.stopping = false;
  e.conflicts.clear();
  st.running.emplace(e.handle->address(), meta.key);
  st.deps.env.telemetry->repositories(st.entries.size());
  arm_conflicts(self);
}

void stop_repository(self_ptr self, entry& e) {
  if (e.stopping)
    return;
  e.stopping = true;
  leave_remote(self, e);
  if (e.handle)
    self->send(e.handle, msg::close_repository{});
  arm_conflicts(self);
}

void remove_orphan(self_ptr self, const std::string& uid) {
  auto& st = self->state;
  const auto at = st.orphans.find(uid);
  if (at == st.orphans.end())
    return;
  const auto key = at->second;
  if (st.entries.contains(key)) { // the claim of whoever has the name now removes these rows; ours would remove his
    st.orphans.erase(at);
    step_release(self, uid);
    return;
  }
  auto failed = [self, key, uid](caf::error& e) {
    const auto why = to_failure(e);
    if (std::exchange(self->state.orphans_problem, why.code) != why.code) // what hinders one hinders all
      log::warn(kind, "rows of a repository that is gone could not be removed; trying again, also with others", {{"key", to_string(key)}, {"err", describe(why)}});
    self->delayed_send(self, self->state.deps.orphan_retry, msg::orphan_due{uid});
  };
  ask(self, st.deps.cache, st.deps.store_timeout, msg::claim_repository{key, uid, st.deps.repository.epoch, nullptr})
    .then(
      [self, uid, failed](const store::repository_claim& claim) {
        ask(self, self->state.deps.cache, self->state.deps.store_timeout, msg::close_rows{claim})
          .then(
            [self, uid](bool) {
              self->state.orphans.erase(uid);
              self->state.orphans_problem.reset();
              rows_removed(self, uid);
            },
            failed);
      },
      failed);
}

void close_orphan(self_ptr self, const object_key& key, const std::string& uid) {
  if (!self->state.orphans.emplace(uid, key).second)
    return; // under way
  log::info(kind, "removing the rows of a repository that is gone", {{"key", to_string(key)}});
  remove_orphan(self, uid);
}

std::chrono::milliseconds restart_delay(const supervisor_deps& deps, unsigned deaths) {
  return std::min<std::chrono::milliseconds>(deps.restart_max, deps.restart_initial * (1LL << std::min(deaths - 1, 16U)));
}

void restart_later(self_ptr self, entry& e, const caf::error& reason) {
  auto& st = self->state;
  const auto delay = restart_delay(st.deps, ++e.restarts);
  log::error(kind, "a repository's actor ended; it is started again",
             {{"key", to_string(e.object->meta.key)}, {"err", describe(to_failure(reason))}, {"in", format_go_duration(delay)}});
  st.deps.env.telemetry->actor_restarted(repository_state::name);
  if (e.restarts >= restarts_worth_saying)
    say_it_keeps_dying(self, e);
  self->delayed_send(self, delay, msg::restart_due{e.object->meta.key, ++e.restart_epoch});
}

void on_restart(self_ptr self, const msg::restart_due& m) {
  auto& st = self->state;
  const auto* const waiting = waiting_for(st, m);
  if (waiting == nullptr)
    return;
  ask(self, st.deps.cache, st.deps.store_timeout, msg::get_states{waiting->object->meta.uid})
    .then(
      [self, m](const msg::states_ptr& states) {
        self->state.restore_problem = {};
        if (auto* const e = waiting_for(self->state, m)) {
          for (const auto& s : *states)
            self->state.restored->insert_or_assign(s.uid, s);
          spawn_repository(self, *e);
        }
      },
      [self, m](caf::error& problem) {
        const auto why = to_failure(problem);
        if (auto* const e = waiting_for(self->state, m))
          restart_without_state(self, *e, why);
      });
}

} // namespace veranda
