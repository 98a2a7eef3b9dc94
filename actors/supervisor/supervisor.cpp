#include "actors/supervisor/supervisor.hpp"

#include "actors/common/ask.hpp"
#include "actors/common/guard.hpp"
#include "actors/logic/conflicts.hpp"
#include "actors/supervisor/following.hpp"
#include "actors/supervisor/releases.hpp"
#include "actors/supervisor/remotes.hpp"
#include "adapters/secrets/secret_source.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

constexpr const char* kind = supervisor_state::name;
using self_ptr = supervisor_pointer;

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
  auto& st = self->state;
  if (!st.shutting_down || !st.running.empty())
    return;
  if (!std::exchange(st.remotes_told, true))
    for (auto& [identity, remote] : st.remotes)
      exit_now(remote.handle, caf::exit_reason::user_shutdown);
  if (st.running_remotes.empty())
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
  if (m.reason != caf::exit_reason::user_shutdown) {
    self->quit(m.reason);
    return;
  }
  st.shutting_down = true;
  for (auto& [key, e] : st.entries)
    exit_now(e.handle, caf::exit_reason::user_shutdown);
  quit_when_all_ended(self);
}

/// The periodic ticker: what runs is told its object and its remote again, should a message have been lost with an actor that ended.
void heal(self_ptr self) {
  auto& st = self->state;
  for (auto& [key, e] : st.entries)
    if (e.handle && !e.stopping)
      self->send(e.handle, to_apply(self, e));
  self->delayed_send(self, st.deps.consistency_interval, msg::consistency_due{});
}

void on_secret_changed(self_ptr self, const object_key& secret) {
  if (self->state.shutting_down)
    return;
  for (auto& [key, e] : self->state.entries) {
    if (e.stopping || key.ns != secret.ns || !e.object->spec.git)
      continue;
    const bool bundle = secret == secrets::ca_bundle_secret(secret.ns);
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

supervisor_state::~supervisor_state() {
  for (const auto& [key, e] : entries)
    exit_now(e.handle, caf::exit_reason::kill);
  for (const auto& [identity, remote] : remotes)
    exit_now(remote.handle, caf::exit_reason::kill);
}

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
    [self](const msg::settings_changed& m) {
      const handling h{*self->state.cell, "settings_changed", self->mailbox().size()};
      auto& state = self->state;
      state.deps.repository.machine = *m.machine;
      state.deps.consistency_interval = m.machine->default_frequency;
      for (auto& [key, e] : state.entries)
        if (e.handle && !e.stopping)
          self->send(e.handle, m);
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
    [self](const msg::remote_due& m) {
      const handling h{*self->state.cell, "remote_due", self->mailbox().size()};
      on_remote_due(self, m.remote);
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
