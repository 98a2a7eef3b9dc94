#include "actors/supervisor/releases.hpp"

#include "actors/common/ask.hpp"
#include "actors/common/guard.hpp"
#include "actors/supervisor/lives.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

void show(supervisor_state& st) { st.cell->set_detail("releasing", std::to_string(st.releases.size())); }

void drop(supervisor_state& st, const std::string& uid) {
  st.releases.erase(uid);
  show(st);
}

/// Whether the mirror that it used is gone or serves others.
bool mirror_is_settled(const supervisor_state& st, const supervisor_state::release& r) {
  if (st.sweeping && r.patient)
    return false;
  if (!r.remote)
    return true;
  const auto at = st.remotes.find(*r.remote);
  return at == st.remotes.end() || !at->second.members.empty();
}

void ask_to_release(supervisor_pointer self, const std::string& uid, supervisor_state::release& r);

/// Objects that its end would leave behind go before it.
void ask_to_expel(supervisor_pointer self, const std::string& uid, supervisor_state::release& r) {
  r.asked = true;
  const auto again = [self, uid](bool gone) {
    const auto at = self->state.releases.find(uid);
    if (at == self->state.releases.end())
      return;
    at->second.asked = false;
    at->second.objects_gone = gone;
    if (gone)
      ask_to_release(self, uid, at->second);
    else
      self->delayed_send(self, self->state.deps.release_retry, msg::release_due{uid});
  };
  ask(self, self->state.deps.package_revs, self->state.deps.store_timeout, msg::expel_package_revs{r.key})
    .then(again, [again](caf::error&) { again(false); });
}

void ask_to_release(supervisor_pointer self, const std::string& uid, supervisor_state::release& r) {
  if (self->state.deps.package_revs && !r.objects_gone) {
    ask_to_expel(self, uid, r);
    return;
  }
  r.asked = true;
  ask(self, self->state.deps.finalizers, self->state.deps.store_timeout, msg::release_object{r.key, uid})
    .then([self, uid](bool) { drop(self->state, uid); },
          [self, uid](caf::error& e) {
            const auto at = self->state.releases.find(uid);
            if (at == self->state.releases.end())
              return;
            at->second.asked = false;
            if (!at->second.marked && class_of(to_failure(e).code) == error_class::needs_change) { // nobody waits for it, and it may not be ours any more
              drop(self->state, uid);
              return;
            }
            self->delayed_send(self, self->state.deps.release_retry, msg::release_due{uid});
          });
}

} // namespace

bool is_being_deleted(const supervisor_state& st, const repository_object& object) { return st.deps.finalizers && object.meta.deleted.has_value(); }

void begin_release(supervisor_pointer self, const repository_object& object, std::optional<remote_identity> remote) {
  const auto& meta = object.meta;
  auto& st = self->state;
  if (!st.deps.finalizers || std::find(meta.finalizers.begin(), meta.finalizers.end(), api_names::repository_finalizer) == meta.finalizers.end())
    return;
  const auto [at, added] = st.releases.try_emplace(meta.uid);
  at->second.marked = at->second.marked || meta.deleted.has_value();
  if (!added)
    return;
  at->second.key = meta.key;
  at->second.remote = std::move(remote);
  show(st);
  if (st.restored)
    st.restored->erase(meta.uid); // its rows go here
  step_release(self, meta.uid);
}

void release_leftover(supervisor_pointer self, const object_key& key, const std::string& uid) {
  auto& st = self->state;
  if (st.deps.finalizers)
    st.releases[uid].key = key;
  show(st);
  close_orphan(self, key, uid);
}

void rows_removed(supervisor_pointer self, const std::string& uid) {
  auto& st = self->state;
  const auto at = st.releases.find(uid);
  if (at == st.releases.end())
    return;
  at->second.rows_gone = true;
  if (!mirror_is_settled(st, at->second))
    self->delayed_send(self, st.deps.mirror_patience, msg::release_due{uid});
  step_release(self, uid);
}

void name_is_free(supervisor_pointer self, const object_key& key) {
  std::vector<std::string> uids;
  for (const auto& [uid, r] : self->state.releases)
    if (r.key == key)
      uids.push_back(uid);
  for (const auto& uid : uids)
    step_release(self, uid);
}

/// The mirror will go, but a busy pool may take its time, and somebody waits for the object's end.
void release_patience_over(supervisor_pointer self, const std::string& uid) {
  const auto at = self->state.releases.find(uid);
  if (at == self->state.releases.end())
    return;
  at->second.remote.reset();
  at->second.patient = false;
  step_release(self, uid);
}

void step_release(supervisor_pointer self, const std::string& uid) {
  auto& st = self->state;
  const auto at = st.releases.find(uid);
  if (at == st.releases.end() || at->second.asked)
    return;
  auto& r = at->second;
  if (const auto there = st.entries.find(r.key); there != st.entries.end() && !r.rows_gone) {
    if (!there->second.stopping && there->second.object->meta.uid != uid)
      drop(st, uid); // the object is gone, and the claim of the one that has its name now removes its rows
    return;                  // else the end of that actor comes first
  }
  if (!r.rows_gone)
    close_orphan(self, r.key, uid);
  else if (mirror_is_settled(st, r))
    ask_to_release(self, uid, r);
}

void step_releases(supervisor_pointer self) {
  std::vector<std::string> uids;
  for (const auto& [uid, r] : self->state.releases)
    uids.push_back(uid);
  for (const auto& uid : uids)
    step_release(self, uid);
}

} // namespace veranda
