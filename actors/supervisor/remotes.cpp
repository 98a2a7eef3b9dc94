#include "actors/supervisor/remotes.hpp"

#include "actors/common/endpoint.hpp"
#include "actors/common/guard.hpp"
#include "actors/supervisor/releases.hpp"
#include "messages/model/digest.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace veranda {

namespace {

using entry = supervisor_state::entry;
using remote_entry = supervisor_state::remote_entry;

/// Which remote an object names, or why there is none.
result<remote_identity> identity_of(const supervisor_state& st, const repository_object& object) {
  if (!object.problems.empty() || object.spec.type != repository_type::git || !object.spec.git)
    return failure{ec::invalid_spec, "the object has no usable git remote", to_string(object.meta.key), {}, {}};
  const auto& git = *object.spec.git;
  auto url = st.deps.canonical_url(git.repo);
  if (!url)
    return url.error(); // the field is named; what it holds may be a secret
  remote_identity identity{std::move(*url), {}, {}};
  if (!st.deps.is_local(identity.url) && (!git.secret_ref.empty() || st.deps.has_ca_bundle(object.meta.key.ns))) {
    identity.ns = object.meta.key.ns;
    identity.secret = git.secret_ref;
  }
  return identity;
}

void spawn_remote(supervisor_pointer self, const remote_identity& identity, remote_entry& r) {
  auto& st = self->state;
  auto deps = st.deps.remote;
  deps.identity = identity;
  deps.mirror = st.deps.mirrors / mirror_name(identity);
  deps.over_http = st.deps.is_http(identity.url);
  if (!st.deps.is_local(identity.url)) {
    deps.listers = st.deps.distant_listers;
    deps.host = origin_of(identity.url);
  }
  r.handle = self->spawn<caf::monitored>(remote, std::move(deps));
  r.began = self->clock().now();
  st.running_remotes.emplace(r.handle->address(), identity);
}

void tell_members(supervisor_pointer self, const remote_identity& identity) {
  for (const auto& [key, e] : self->state.entries)
    if (e.handle && e.remote == identity)
      self->send(e.handle, to_apply(self, e));
}

void start_again(supervisor_pointer self, const remote_identity& identity, remote_entry& r) {
  spawn_remote(self, identity, r);
  if (r.members.empty()) { // it died before it had removed its mirror
    self->send(r.handle, msg::join_remote{});
    self->send(r.handle, msg::leave_remote{});
    return;
  }
  for (const auto& [uid, branch] : r.members)
    self->send(r.handle, msg::join_remote{uid, branch});
  tell_members(self, identity);
}

/// What a sync ends with while the remote's actor is away: nothing that is said, unless it dies again and again.
failure away(const remote_identity& identity, const remote_entry& r) {
  if (r.restarts < restarts_worth_saying)
    return {ec::cancelled, "the actor of the remote is started again", to_string(identity), {}, {}};
  return {ec::internal, "internal error: the actor of its remote ended " + std::to_string(r.restarts) + " times in a row; see the daemon's log", {}, {}, {}};
}

} // namespace

std::string mirror_name(const remote_identity& identity) { return to_hex(sha256(to_string(identity))).substr(0, 40); }

void leave_remote(supervisor_pointer self, entry& e) {
  if (!e.remote)
    return;
  auto& st = self->state;
  if (const auto at = st.remotes.find(*e.remote); at != st.remotes.end()) {
    at->second.members.erase(e.object->meta.uid);
    if (at->second.handle)
      self->send(at->second.handle, msg::leave_remote{e.object->meta.uid});
  }
  e.remote.reset();
}

void move_to_remote(supervisor_pointer self, entry& e) {
  auto& st = self->state;
  auto identity = identity_of(st, *e.object);
  if (!identity || (e.remote && *e.remote != *identity))
    leave_remote(self, e);
  if (!identity)
    return;
  const auto [at, fresh] = st.remotes.try_emplace(*identity);
  auto& r = at->second;
  if (fresh)
    spawn_remote(self, *identity, r);
  const bool used_again = r.members.empty();
  r.members[e.object->meta.uid] = e.object->spec.git->branch;
  if (r.handle) // else it is told when it starts again
    self->send(r.handle, msg::join_remote{e.object->meta.uid, e.object->spec.git->branch});
  e.remote = std::move(*identity);
  if (used_again)
    step_releases(self);
}

apply_object to_apply(supervisor_pointer self, const entry& e) {
  auto& st = self->state;
  apply_object m;
  m.object = e.object;
  if (e.remote) {
    const auto& r = st.remotes.at(*e.remote);
    m.remote = r.handle;
    m.remote_name = to_string(*e.remote);
    if (!r.handle)
      m.remote_problem = away(*e.remote, r);
  } else if (auto identity = identity_of(st, *e.object); !identity) {
    m.remote_problem = identity.error();
  }
  return m;
}

void remote_down(supervisor_pointer self, const remote_identity& identity, const caf::actor_addr& source, const caf::error& reason) {
  auto& st = self->state;
  const auto at = st.remotes.find(identity);
  if (at == st.remotes.end() || !at->second.handle || at->second.handle.address() != source)
    return;
  auto& r = at->second;
  if (!reason && r.members.empty()) {
    st.remotes.erase(at);
    step_releases(self);
    return;
  }
  r.handle = nullptr;
  if (!reason) { // somebody joined while it ended
    start_again(self, identity, r);
    return;
  }
  r.restarts = self->clock().now() - r.began < st.deps.restart_max ? r.restarts + 1 : 1;
  const auto delay = restart_delay(st.deps, r.restarts);
  log::error(remote_state::name, "a remote's actor ended; it is started again",
             {{"remote", to_string(identity)}, {"err", describe(to_failure(reason))}, {"in", format_go_duration(delay)}});
  st.deps.env.telemetry->actor_restarted(remote_state::name);
  tell_members(self, identity);
  self->delayed_send(self, delay, msg::remote_due{identity});
}

void on_remote_due(supervisor_pointer self, const remote_identity& identity) {
  auto& st = self->state;
  const auto at = st.remotes.find(identity);
  if (at != st.remotes.end() && !at->second.handle && !st.shutting_down)
    start_again(self, identity, at->second);
}

} // namespace veranda
