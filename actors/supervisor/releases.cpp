#include "actors/supervisor/releases.hpp"

#include "actors/common/ask.hpp"
#include "actors/common/guard.hpp"
#include "actors/supervisor/holdups.hpp"
#include "actors/supervisor/lives.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

void show(supervisor_state& st) { st.cell->set_detail("releasing", std::to_string(st.releases.size())); }

void drop(supervisor_pointer self, const std::string& uid) {
  end_holdup(self, uid);
  self->state.releases.erase(uid);
  show(self->state);
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

/// The one that was asked about; null when it ended meanwhile, whether or not another was begun.
supervisor_state::release* asked_about(supervisor_state& st, const std::string& uid, std::uint64_t number) {
  const auto at = st.releases.find(uid);
  return at != st.releases.end() && at->second.number == number ? &at->second : nullptr;
}

void try_again(supervisor_pointer self, const std::string& uid, supervisor_state::release& r, std::chrono::milliseconds delay) {
  r.asked = false;
  r.not_before = self->clock().now() + delay;
  self->delayed_send(self, delay, msg::release_due{uid});
}

/// The keeper of finalizers has said why. What only somebody with rights can mend is tried less and less often.
void refused(supervisor_pointer self, const std::string& uid, supervisor_state::release& r, const failure& why) {
  const auto& deps = self->state.deps;
  r.refusals = class_of(why.code) == error_class::needs_change ? r.refusals + 1 : 0;
  if (r.marked && r.refusals > 0)
    say_holdup(self, uid, {ec::dependency_missing, "its finalizer cannot be taken off: " + describe(why), {}, {}, {}});
  const auto most = r.marked ? deps.release_retry_marked : deps.release_retry_max;
  try_again(self, uid, r, r.refusals == 0 ? deps.release_retry : std::min<std::chrono::milliseconds>(most, deps.release_retry * (1LL << std::min(r.refusals - 1, 16U))));
}

void ask_to_release(supervisor_pointer self, const std::string& uid, supervisor_state::release& r);

/// Objects that its end would leave behind go before it.
void ask_to_expel(supervisor_pointer self, const std::string& uid, supervisor_state::release& r) {
  r.asked = true;
  const auto then = [self, uid, number = r.number](bool gone, const failure* why) {
    auto* const there = asked_about(self->state, uid, number);
    if (there == nullptr)
      return;
    if (gone)
      end_holdup(self, uid);
    else if (why != nullptr)
      say_holdup(self, uid, *why);
    there->objects_gone = gone;
    if (gone)
      ask_to_release(self, uid, *there);
    else
      try_again(self, uid, *there, self->state.deps.release_retry);
  };
  ask(self, self->state.deps.package_revs, self->state.deps.store_timeout, msg::expel_package_revs{r.key})
    .then([then](bool gone) { then(gone, nullptr); },
          [then](caf::error& e) {
            const auto why = to_failure(e);
            then(false, &why);
          });
}

void ask_to_release(supervisor_pointer self, const std::string& uid, supervisor_state::release& r) {
  if (self->state.deps.package_revs && r.marked && !r.objects_gone) { // those of one that lives on may be another daemon's now
    ask_to_expel(self, uid, r);
    return;
  }
  r.asked = true;
  ask(self, self->state.deps.finalizers, self->state.deps.store_timeout, msg::release_object{r.key, uid})
    .then(
      [self, uid, number = r.number](bool) {
        if (asked_about(self->state, uid, number) != nullptr)
          drop(self, uid);
      },
      [self, uid, number = r.number](caf::error& e) {
        if (auto* const there = asked_about(self->state, uid, number))
          refused(self, uid, *there, to_failure(e));
      });
}

/// What was seen counts only for an object that is being deleted, as it takes no more finalizers: another may have been given ours since.
bool may_be_held(const supervisor_state& st, const object_meta& meta) {
  const bool seen = std::find(meta.finalizers.begin(), meta.finalizers.end(), api_names::repository_finalizer) != meta.finalizers.end();
  return seen || (!meta.deleted && st.deps.repository.finalizers);
}

/// Somebody waits for it now.
void mark(supervisor_pointer self, const std::string& uid, supervisor_state::release& r) {
  if (std::exchange(r.marked, true))
    return;
  r.refusals = 0;
  r.not_before = {};
  step_release(self, uid);
}

} // namespace

bool is_being_deleted(const supervisor_state& st, const repository_object& object) { return st.deps.finalizers && object.meta.deleted.has_value(); }

void begin_release(supervisor_pointer self, const repository_object& object, std::optional<remote_identity> remote) {
  const auto& meta = object.meta;
  auto& st = self->state;
  if (!st.deps.finalizers)
    return;
  if (const auto at = st.releases.find(meta.uid); at != st.releases.end()) {
    if (meta.deleted)
      mark(self, meta.uid, at->second);
    return;
  }
  if (!may_be_held(st, meta))
    return;
  auto& r = st.releases[meta.uid];
  r.key = meta.key;
  r.remote = std::move(remote);
  r.marked = meta.deleted.has_value();
  r.number = ++st.release_count;
  r.status = object.status;
  r.generation = meta.generation;
  show(st);
  if (st.restored)
    st.restored->erase(meta.uid); // its rows go here
  step_release(self, meta.uid);
}

void cancel_release(supervisor_pointer self, const std::string& uid) {
  if (self->state.releases.contains(uid))
    drop(self, uid);
}

void release_leftover(supervisor_pointer self, const object_key& key, const std::string& uid) {
  auto& st = self->state;
  if (st.deps.finalizers) {
    auto& r = st.releases[uid];
    r.key = key;
    r.number = ++st.release_count;
  }
  show(st);
  close_orphan(self, key, uid);
}

void rows_removed(supervisor_pointer self, const std::string& uid) {
  auto& st = self->state;
  const auto at = st.releases.find(uid);
  if (at == st.releases.end())
    return;
  at->second.rows_gone = true;
  at->second.patient_until = self->clock().now() + st.deps.mirror_patience;
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

/// The mirror will go, but a busy pool may take its time, and somebody waits for the object's end. The timer may be that of an earlier release of the same object.
void release_patience_over(supervisor_pointer self, const std::string& uid) {
  const auto at = self->state.releases.find(uid);
  if (at == self->state.releases.end())
    return;
  if (self->clock().now() >= at->second.patient_until) {
    at->second.remote.reset();
    at->second.patient = false;
  }
  step_release(self, uid);
}

void step_release(supervisor_pointer self, const std::string& uid) {
  auto& st = self->state;
  const auto at = st.releases.find(uid);
  if (at == st.releases.end() || at->second.asked)
    return;
  auto& r = at->second;
  if (const auto there = st.entries.find(r.key); there != st.entries.end()) {
    if (!there->second.stopping && there->second.object->meta.uid != uid)
      drop(self, uid); // the object is gone, and the claim of the one that has its name now removes its rows
    return;          // else the end of that actor comes first
  }
  if (!r.rows_gone)
    close_orphan(self, r.key, uid);
  else if (mirror_is_settled(st, r) && self->clock().now() >= r.not_before)
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
