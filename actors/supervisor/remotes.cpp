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

remote_actor spawn_remote(supervisor_pointer self, const remote_identity& identity) {
  auto& st = self->state;
  auto deps = st.deps.remote;
  deps.identity = identity;
  deps.mirror = st.deps.mirrors / mirror_name(identity);
  deps.over_http = st.deps.is_http(identity.url);
  if (!st.deps.is_local(identity.url)) {
    deps.listers = st.deps.distant_listers;
    deps.host = origin_of(identity.url);
  }
  auto handle = self->spawn<caf::monitored>(remote, std::move(deps));
  st.running_remotes.emplace(handle->address(), identity);
  return handle;
}

} // namespace

std::string mirror_name(const remote_identity& identity) { return to_hex(sha256(to_string(identity))).substr(0, 40); }

void leave_remote(supervisor_pointer self, entry& e) {
  if (!e.remote)
    return;
  auto& st = self->state;
  if (const auto at = st.remotes.find(*e.remote); at != st.remotes.end()) {
    at->second.members.erase(e.object->meta.uid);
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
  auto& at = st.remotes[*identity];
  if (!at.handle)
    at.handle = spawn_remote(self, *identity);
  const bool used_again = at.members.empty();
  at.members[e.object->meta.uid] = e.object->spec.git->branch;
  self->send(at.handle, msg::join_remote{e.object->meta.uid, e.object->spec.git->branch});
  e.remote = std::move(*identity);
  if (used_again)
    step_releases(self);
}

apply_object to_apply(supervisor_pointer self, const entry& e) {
  auto& st = self->state;
  apply_object m;
  m.object = e.object;
  if (e.remote) {
    m.remote = st.remotes.at(*e.remote).handle;
    m.remote_name = to_string(*e.remote);
  } else if (auto identity = identity_of(st, *e.object); !identity) {
    m.remote_problem = identity.error();
  }
  return m;
}

void remote_down(supervisor_pointer self, const remote_identity& identity, const caf::actor_addr& source, const caf::error& reason) {
  auto& st = self->state;
  const auto at = st.remotes.find(identity);
  if (at == st.remotes.end() || at->second.handle.address() != source)
    return;
  if (at->second.members.empty() && !reason) {
    st.remotes.erase(at);
    step_releases(self);
    return;
  }
  if (reason)
    log::error(remote_state::name, "a remote's actor ended; it is started again", {{"remote", to_string(identity)}, {"err", describe(to_failure(reason))}});
  at->second.handle = spawn_remote(self, identity);
  if (at->second.members.empty()) { // it died before it had removed its mirror
    self->send(at->second.handle, msg::join_remote{});
    self->send(at->second.handle, msg::leave_remote{});
    return;
  }
  for (const auto& [uid, branch] : at->second.members)
    self->send(at->second.handle, msg::join_remote{uid, branch});
  for (const auto& [key, e] : st.entries)
    if (e.handle && e.remote == identity)
      self->send(e.handle, to_apply(self, e));
}

} // namespace veranda
