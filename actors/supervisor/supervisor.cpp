#include "actors/supervisor/supervisor.hpp"

#include "actors/common/ask.hpp"
#include "actors/common/guard.hpp"
#include "actors/logic/conflicts.hpp"
#include "actors/logic/desired_set.hpp"
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

void show(supervisor_state& st) {
  st.cell->set_detail("repositories", std::to_string(st.entries.size()));
  st.cell->set_detail("remotes", std::to_string(st.remotes.size()));
}

void forget_status(self_ptr self, const entry& e) {
  self->send(self->state.deps.repository.status, msg::forget_status{e.object->meta.key, e.object->meta.uid});
}

void forget(self_ptr self, std::map<object_key, entry>::iterator at) {
  auto& st = self->state;
  forget_status(self, at->second);
  st.deps.env.telemetry->repository_gone(at->first);
  st.entries.erase(at);
  st.deps.env.telemetry->repositories(st.entries.size());
}

// -- first syncs ---------------------------------------------------------------------------------

bool is_suspended(const repository_object& object) {
  const auto at = object.meta.annotations.find(std::string{api_names::suspend_annotation});
  return at != object.meta.annotations.end() && at->second == "true";
}

void answer_first_syncs(supervisor_state& st) {
  if (!st.listed || st.waiting_first.empty())
    return;
  msg::first_syncs sums;
  for (const auto& [key, e] : st.entries) {
    if (e.stopping)
      continue;
    if (is_suspended(*e.object)) {
      ++sums.suspended;
      continue;
    }
    if (!e.first_done)
      return;
    ++(e.first_ok ? sums.ready : sums.failed);
  }
  for (auto& promise : st.waiting_first)
    promise.deliver(sums);
  st.waiting_first.clear();
}

// -- repositories --------------------------------------------------------------------------------

void report_conflicts(self_ptr self) {
  auto& st = self->state;
  st.conflicts_armed = false;
  std::vector<repository_object> objects;
  for (const auto& [key, e] : st.entries)
    if (!e.stopping)
      objects.push_back(*e.object);
  const auto conflicts = logic::find_conflicts(objects);
  for (auto& [key, e] : st.entries) {
    std::vector<std::string> others;
    if (const auto found = conflicts.find(key); found != conflicts.end())
      for (const auto& other : found->second)
        others.push_back(to_string(other));
    if (others == e.conflicts || !e.handle || e.stopping)
      continue;
    e.conflicts = others;
    self->send(e.handle, msg::conflicts_changed{std::move(others)});
  }
}

void remove(self_ptr self, const object_key& key) {
  auto& st = self->state;
  const auto at = st.entries.find(key);
  if (at == st.entries.end())
    return;
  at->second.successor = nullptr;
  begin_release(self, *at->second.object, at->second.remote); // it may only have left what is followed
  if (at->second.handle) {
    stop_repository(self, at->second);
    return;
  }
  leave_remote(self, at->second); // it was waiting for a restart
  const auto uid = at->second.object->meta.uid;
  forget(self, at);
  close_orphan(self, key, uid);
}

/// It is there, but only until what is kept of it is gone.
void let_go(self_ptr self, const repository_object_ptr& object) {
  const auto& meta = object->meta;
  if (const auto at = self->state.entries.find(meta.key); at != self->state.entries.end() && at->second.object->meta.uid == meta.uid)
    at->second.object = object;
  remove(self, meta.key);
  begin_release(self, *object, std::nullopt);
}

void upsert(self_ptr self, const repository_object_ptr& object) {
  auto& st = self->state;
  const auto& meta = object->meta;
  if (is_being_deleted(st, *object)) {
    let_go(self, object);
    return;
  }
  cancel_release(self, meta.uid);
  const auto [at, added] = st.entries.try_emplace(meta.key);
  auto& e = at->second;
  if (added) {
    e.object = object;
    move_to_remote(self, e);
    spawn_repository(self, e);
    return;
  }
  if (e.stopping || e.object->meta.uid != meta.uid) { // the old one ends first
    e.successor = object;
    if (e.handle) {
      stop_repository(self, e);
    } else {
      leave_remote(self, e); // as the old one
      forget_status(self, e);
      e.stopping = false;
      e.first_done = false;
      e.object = std::exchange(e.successor, nullptr);
      move_to_remote(self, e);
      spawn_repository(self, e);
    }
    return;
  }
  const bool moved = !(e.object->spec == object->spec) || e.object->problems != object->problems; // one with problems has no remote
  e.object = object;
  if (moved) {
    move_to_remote(self, e);
    arm_conflicts(self);
  }
  if (e.handle)
    self->send(e.handle, to_apply(self, e));
}

// -- lists ---------------------------------------------------------------------------------------

/// What a daemon that was down missed: rows and mirrors of objects that are gone. The claim of an object that was made anew removes its predecessor's rows itself; a
/// claim for the predecessor would take away the new one's.
void sweep_leftovers(self_ptr self) {
  auto& st = self->state;
  for (const auto& [uid, state] : std::exchange(*st.restored, {}))
    if (!st.entries.contains(state.key))
      release_leftover(self, state.key, uid);
  msg::job job;
  job.kind = msg::job_kind::sweep_mirrors;
  job.mirror = st.deps.mirrors.string();
  for (const auto& [identity, remote] : st.remotes)
    job.keep.push_back(mirror_name(identity));
  job.cancel = std::make_shared<cancel_token>();
  st.sweeping = true;
  ask(self, st.deps.pool, st.deps.store_timeout, std::move(job))
    .then(
      [self](const msg::job_result&) {
        self->state.sweeping = false;
        step_releases(self);
      },
      [self](caf::error& e) {
        log::warn(kind, "unused mirrors could not be removed", {{"err", describe(to_failure(e))}});
        self->state.sweeping = false;
        step_releases(self);
      });
}

void apply_list(self_ptr self, const std::vector<repository_object>& objects) {
  auto& st = self->state;
  std::vector<logic::object_identity> wanted;
  std::vector<logic::object_identity> running;
  for (const auto& object : objects)
    wanted.push_back({object.meta.key, object.meta.uid});
  for (const auto& [key, e] : st.entries)
    running.push_back({key, (e.successor ? e.successor : e.object)->meta.uid});
  for (const auto& gone : logic::difference(std::move(wanted), std::move(running)).stop)
    remove(self, gone.key);
  for (const auto& object : objects) // one that came back under another uid waits there for the end of its predecessor
    upsert(self, std::make_shared<const repository_object>(object));
  if (!std::exchange(st.listed, true)) {
    sweep_leftovers(self);
    if (st.deps.first_list_applied)
      st.deps.first_list_applied();
  }
  show(st);
  answer_first_syncs(st);
}

void on_change(self_ptr self, const msg::repository_changed& m);

/// The durable states are there: what waited for them goes on.
void restored(self_ptr self, const std::vector<durable_state>& states) {
  auto& st = self->state;
  st.restored.emplace();
  for (const auto& s : states)
    st.restored->emplace(s.uid, s);
  if (const auto list = std::exchange(st.waiting_list, nullptr))
    apply_list(self, *list);
  for (const auto& change : std::exchange(st.waiting_changes, {}))
    on_change(self, change);
}

/// Asks for the durable states. They hold what was accepted and is still to be done: only damage, which loses them, lets the repositories start without.
void restore(self_ptr self) {
  auto& st = self->state;
  ask(self, st.deps.cache, st.deps.store_timeout, msg::get_states{})
    .then([self](const msg::states_ptr& states) { restored(self, *states); },
          [self](caf::error& e) {
            const auto why = to_failure(e);
            if (class_of(why.code) == error_class::damaged) {
              log::warn(kind, "the durable states are lost; every repository starts anew", {{"err", describe(why)}});
              restored(self, {});
              return;
            }
            if (std::exchange(self->state.restore_problem, why) != why)
              log::warn(kind, "the durable states could not be read; trying again", {{"err", describe(why)}});
            self->delayed_send(self, self->state.deps.restore_retry, msg::restore_due{});
          });
}

/// Durable states come before the first repository: what is restored decides what a first sync has to do.
void on_list(self_ptr self, const msg::repositories_listed& m) {
  auto& st = self->state;
  if (st.restored) {
    apply_list(self, *m.objects);
    return;
  }
  st.waiting_list = m.objects;
  st.waiting_changes.clear(); // the list is newer
  if (std::exchange(st.restoring, true))
    return;
  restore(self);
}

void on_change(self_ptr self, const msg::repository_changed& m) {
  if (!self->state.restored) {
    self->state.waiting_changes.push_back(m);
    return;
  }
  if (m.deleted)
    remove(self, m.object->meta.key);
  else
    upsert(self, m.object);
  show(self->state);
  answer_first_syncs(self->state);
}

// -- deaths --------------------------------------------------------------------------------------

void repository_down(self_ptr self, const object_key& key, const caf::error& reason) {
  auto& st = self->state;
  const auto at = st.entries.find(key);
  if (at == st.entries.end())
    return;
  auto& e = at->second;
  e.handle = nullptr;
  if (e.successor) {
    forget_status(self, e);
    e.object = std::exchange(e.successor, nullptr);
    e.first_done = false;
    move_to_remote(self, e);
    spawn_repository(self, e);
  } else if (e.stopping) {
    const auto uid = e.object->meta.uid;
    forget(self, at);
    if (reason) // it did not come to the end of closing
      close_orphan(self, key, uid);
    else
      rows_removed(self, uid);
  } else {
    restart_later(self, e, reason);
  }
  name_is_free(self, key);
  show(st);
  answer_first_syncs(st);
}

void quit_when_all_ended(self_ptr self) {
  if (self->state.shutting_down && self->state.running.empty() && self->state.running_remotes.empty())
    self->quit(caf::exit_reason::user_shutdown);
}

void on_down(self_ptr self, const caf::down_msg& m) {
  auto& st = self->state;
  if (auto node = st.running.extract(m.source)) {
    if (!st.shutting_down)
      repository_down(self, node.mapped(), m.reason);
  } else if (auto remote_node = st.running_remotes.extract(m.source)) {
    if (!st.shutting_down)
      remote_down(self, remote_node.mapped(), m.source, m.reason);
  }
  quit_when_all_ended(self);
}

void on_exit(self_ptr self, const caf::exit_msg& m) {
  auto& st = self->state;
  if (m.reason == caf::exit_reason::kill) {
    self->quit(m.reason);
    return;
  }
  st.shutting_down = true;
  for (auto& [key, e] : st.entries)
    exit_now(e.handle, caf::exit_reason::user_shutdown);
  for (auto& [identity, remote] : st.remotes)
    exit_now(remote.handle, caf::exit_reason::user_shutdown);
  quit_when_all_ended(self);
}

/// The document's periodic ticker: what runs is told its object and its remote again, should a message have been lost with an actor that ended.
void heal(self_ptr self) {
  auto& st = self->state;
  for (auto& [key, e] : st.entries)
    if (e.handle && !e.stopping)
      self->send(e.handle, to_apply(self, e));
  self->delayed_send(self, st.deps.consistency_interval, msg::consistency_due{});
}

void on_secret_changed(self_ptr self, const object_key& secret) {
  for (auto& [key, e] : self->state.entries) {
    if (e.stopping || key.ns != secret.ns || !e.object->spec.git)
      continue;
    const bool bundle = secret.name == secret.ns + "-ca-bundle";
    if (!bundle && e.object->spec.git->secret_ref != secret.name)
      continue;
    if (bundle)
      move_to_remote(self, e);
    if (!e.handle) // it starts with what is true then
      continue;
    if (bundle)
      self->send(e.handle, to_apply(self, e));
    caf::anon_send(e.handle, msg::sync_now{sync_cause::secret_changed, false});
  }
}

} // namespace

supervisor_actor::behavior_type supervisor(self_ptr self, supervisor_deps deps) {
  install_default_handlers(self, kind);
  self->state.deps = std::move(deps);
  self->state.cell = self->state.deps.env.cells->add(kind, "");
  self->set_down_handler([self](caf::down_msg& m) { on_down(self, m); });
  self->set_exit_handler([self](caf::exit_msg& m) { on_exit(self, m); });
  self->delayed_send(self, self->state.deps.consistency_interval, msg::consistency_due{});
  if (self->state.deps.remote.secret_keeper)
    self->send(self->state.deps.remote.secret_keeper, follow_secrets{self});
  return {
    [self](const msg::repositories_listed& m) {
      const handling h{*self->state.cell, "repositories_listed", self->mailbox().size()};
      on_list(self, m);
    },
    [self](const msg::repository_changed& m) {
      const handling h{*self->state.cell, "repository_changed", self->mailbox().size()};
      on_change(self, m);
    },
    [self](const msg::secret_changed& m) {
      const handling h{*self->state.cell, "secret_changed", self->mailbox().size()};
      on_secret_changed(self, m.secret);
    },
    [self](const msg::first_sync_finished& m) {
      const handling h{*self->state.cell, "first_sync_finished", self->mailbox().size()};
      if (const auto at = self->state.entries.find(m.key); at != self->state.entries.end()) {
        if (!std::exchange(at->second.first_done, true))
          at->second.first_ok = m.ok;
        at->second.restarts = m.ok ? 0 : at->second.restarts;
      }
      answer_first_syncs(self->state);
    },
    [self](const msg::await_first_syncs&) -> caf::result<msg::first_syncs> {
      auto promise = self->make_response_promise<msg::first_syncs>();
      self->state.waiting_first.push_back(promise);
      answer_first_syncs(self->state);
      return promise;
    },
    [self](const object_key& key, const msg::get_state& m) -> caf::result<msg::repository_state_view> {
      const auto at = self->state.entries.find(key);
      if (at == self->state.entries.end() || !at->second.handle)
        return to_error({ec::not_found, "no actor runs for this repository", to_string(key), {}, {}});
      auto promise = self->make_response_promise<msg::repository_state_view>();
      ask(self, at->second.handle, std::chrono::seconds{5}, m)
        .then([promise](const msg::repository_state_view& v) mutable { promise.deliver(v); },
              [promise](caf::error& e) mutable { promise.deliver(std::move(e)); });
      return promise;
    },
    [self](const msg::restart_due& m) {
      const handling h{*self->state.cell, "restart_due", self->mailbox().size()};
      on_restart(self, m);
    },
    [self](const msg::consistency_due&) {
      const handling h{*self->state.cell, "consistency_due", self->mailbox().size()};
      heal(self);
    },
    [self](const msg::restore_due&) {
      const handling h{*self->state.cell, "restore_due", self->mailbox().size()};
      restore(self);
    },
    [self](const msg::orphan_due& m) {
      const handling h{*self->state.cell, "orphan_due", self->mailbox().size()};
      remove_orphan(self, m.uid);
    },
    [self](const msg::release_due& m) {
      const handling h{*self->state.cell, "release_due", self->mailbox().size()};
      release_patience_over(self, m.uid);
    },
    [self](const msg::conflicts_due&) {
      const handling h{*self->state.cell, "conflicts_due", self->mailbox().size()};
      report_conflicts(self);
    },
  };
}

} // namespace veranda
