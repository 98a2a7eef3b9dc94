#include "actors/supervisor/following.hpp"

#include "actors/common/ask.hpp"
#include "actors/common/log.hpp"
#include "actors/logic/desired_set.hpp"
#include "actors/supervisor/releases.hpp"
#include "actors/supervisor/remotes.hpp"
#include "messages/errors.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

void show(supervisor_state& st) {
  st.cell->set_detail("repositories", std::to_string(st.entries.size()));
  st.cell->set_detail("remotes", std::to_string(st.remotes.size()));
}

void forget_status(supervisor_pointer self, const supervisor_state::entry& e) {
  self->send(self->state.deps.repository.status, msg::forget_status{e.object->meta.key, e.object->meta.uid});
}

void forget(supervisor_pointer self, std::map<object_key, supervisor_state::entry>::iterator at) {
  auto& st = self->state;
  forget_status(self, at->second);
  st.deps.env.telemetry->repository_gone(at->first);
  st.entries.erase(at);
  st.deps.env.telemetry->repositories(st.entries.size());
}

namespace {

constexpr const char* kind = supervisor_state::name;
using self_ptr = supervisor_pointer;

bool is_suspended(const repository_object& object) {
  const auto at = object.meta.annotations.find(std::string{api_names::suspend_annotation});
  return at != object.meta.annotations.end() && at->second == "true";
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
  arm_conflicts(self);
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

/// After a restart what was never synced begins first, then what was synced longest ago: listings wait for slots in the order they came.
std::vector<const repository_object*> stalest_first(const supervisor_state& st, const std::vector<repository_object>& objects) {
  std::vector<std::pair<wall_time, const repository_object*>> sorted;
  for (const auto& object : objects) {
    const auto known = st.restored->find(object.meta.uid);
    sorted.emplace_back(known == st.restored->end() ? wall_time::min() : known->second.last_success.value_or(wall_time::min()), &object);
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<const repository_object*> out;
  for (const auto& [since, object] : sorted)
    out.push_back(object);
  return out;
}

void apply_list(self_ptr self, const std::vector<repository_object>& objects) {
  auto& st = self->state;
  std::vector<logic::object_identity> wanted;
  std::vector<logic::object_identity> running;
  for (const auto& object : objects)
    wanted.push_back({object.meta.key, object.meta.uid});
  for (const auto& [key, e] : st.entries)
    running.push_back({key, (e.successor ? e.successor : e.object)->meta.uid});
  for (const auto& one : logic::gone(std::move(wanted), std::move(running)))
    remove(self, one.key);
  for (const auto* object : stalest_first(st, objects)) // one that came back under another uid waits there for the end of its predecessor
    upsert(self, std::make_shared<const repository_object>(*object));
  if (!std::exchange(st.listed, true)) {
    sweep_leftovers(self);
    if (st.deps.first_list_applied)
      st.deps.first_list_applied();
  }
  show(st);
  answer_first_syncs(st);
}

/// The durable states are there: what waited for them goes on.
void restored(self_ptr self, const std::vector<durable_state>& states) {
  auto& st = self->state;
  if (st.shutting_down)
    return;
  st.restored.emplace();
  for (const auto& s : states)
    st.restored->emplace(s.uid, s);
  if (const auto list = std::exchange(st.waiting_list, nullptr))
    apply_list(self, *list);
  for (const auto& [key, change] : std::exchange(st.waiting_changes, {}))
    on_change(self, change);
}

/// Only the last change of an object counts, and none of one that came and went meanwhile: there are never more of them than objects.
void keep_waiting(supervisor_state& st, const msg::repository_changed& m) {
  const auto& key = m.object->meta.key;
  const auto is_it = [&](const repository_object& o) { return o.meta.key == key; };
  if (m.deleted && (!st.waiting_list || std::none_of(st.waiting_list->begin(), st.waiting_list->end(), is_it)))
    st.waiting_changes.erase(key);
  else
    st.waiting_changes.insert_or_assign(key, m);
}

} // namespace

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

/// They hold what was accepted and is still to be done: only damage, which loses them, lets the repositories start without.
void restore(supervisor_pointer self) {
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

void on_list(supervisor_pointer self, const msg::repositories_listed& m) {
  auto& st = self->state;
  if (st.shutting_down)
    return;
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

void on_change(supervisor_pointer self, const msg::repository_changed& m) {
  if (self->state.shutting_down)
    return;
  if (!self->state.restored) {
    keep_waiting(self->state, m);
    return;
  }
  if (m.deleted)
    remove(self, m.object->meta.key);
  else
    upsert(self, m.object);
  show(self->state);
  answer_first_syncs(self->state);
}

} // namespace veranda
