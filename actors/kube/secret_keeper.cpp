#include "actors/kube/secret_keeper.hpp"

#include "actors/common/guard.hpp"
#include "actors/kube/driving.hpp"
#include "adapters/secrets/secret_reading.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

using self_ptr = kube_secrets_actor::stateful_pointer<kube_secrets_state>;

constexpr std::size_t most_secret_bytes = 4U << 20U; ///< servers allow 1 MiB of data, which is a third more as text
constexpr std::size_t most_said = 1'000;             ///< namespaces

const kube::resource_type& secret_type() {
  static const kube::resource_type type{"", "v1", "secrets", "Secret"};
  return type;
}

/// What an answer means for whoever wants the Secret; never with a byte of it.
result<secrets::fetched_secret> read_answer(result<kube::api_answer> answer, const kube::api_request& request, const object_key& key) {
  const int status = answer ? answer->status : 0;
  auto body = answer ? kube::body_of(std::move(*answer), request) : result<std::string>{answer.error()};
  if (body)
    return secrets::read_fetched(*body, key);
  auto why = std::move(body).error();
  why.object = "Secret " + to_string(key);
  if (status == 404 && why.code == ec::not_found)
    return failure{ec::dependency_missing, "there is no such Secret in the namespace", why.object, {}, {}};
  if (status == 403)
    return failure{ec::auth_rejected, "the API server does not let it be read; grant get on secrets in namespace " + key.ns, why.object, {}, {}};
  if (class_of(why.code) == error_class::needs_change && why.code != ec::too_large) // our own credentials, or somebody in between: not the Secret's fault
    why.code = ec::unavailable;
  return why;
}

/// Says why Secrets of a namespace cannot be read, once for each reason. Those that are just not there are the repositories' to tell.
void say(kube_secrets_state& st, const object_key& key, const result<secrets::fetched_secret>& fetched) {
  const bool fine = fetched || fetched.error().code == ec::dependency_missing || fetched.error().code == ec::cancelled;
  if (fine) {
    st.said.erase(key.ns);
    return;
  }
  if (st.said.size() >= most_said)
    st.said.clear();
  const auto& why = fetched.error();
  const auto text = std::string{to_string(why.code)};
  if (std::exchange(st.said[key.ns], text) != text)
    log::warn(kube_secrets_state::name, "Secrets of a namespace cannot be read", {{"namespace", key.ns}, {"err", describe(why)}});
}

void arm_recheck(self_ptr self) {
  auto& st = self->state;
  if (!st.refused.empty() && !std::exchange(st.recheck_armed, true))
    self->delayed_send(self, st.deps.recheck, msg::recheck_secrets{});
}

/// Whoever uses it syncs, when it is another than the one that was refused.
void tell_change(self_ptr self, const object_key& key) {
  auto& st = self->state;
  const auto at = st.refused.find(key);
  if (at == st.refused.end())
    return;
  auto now = st.deps.secrets->version(key);
  if (std::exchange(at->second, now) == now)
    return;
  log::info(kube_secrets_state::name, "a Secret has changed; those who use it sync", {{"secret", to_string(key)}});
  if (st.follower)
    self->send(st.follower, msg::secret_changed{key});
}

void fetched(self_ptr self, const object_key& key, result<secrets::fetched_secret> outcome) {
  auto& st = self->state;
  say(st, key, outcome);
  st.fetched += outcome ? 1 : 0;
  st.deps.secrets->store(key, std::move(outcome));
  tell_change(self, key);
  auto node = st.fetching.extract(key);
  if (!node)
    return;
  for (auto& w : node.mapped())
    if (--w->left == 0)
      w->promise.deliver(true);
}

void fetch(self_ptr self, const object_key& key) {
  auto& st = self->state;
  if (!st.fetching.try_emplace(key).second)
    return;
  auto request = kube::get_request(secret_type(), key);
  request.timeout = st.deps.timeout;
  request.max_bytes = most_secret_bytes;
  st.deps.client->start(request, [self, key, request, alive = std::weak_ptr{st.alive}](result<kube::api_answer> answer) {
    if (!alive.expired())
      fetched(self, key, read_answer(std::move(answer), request, key));
  });
}

bool is_young(const kube_secrets_state& st, const object_key& key, std::chrono::milliseconds age) {
  const auto at = st.deps.secrets->fetched_at(key);
  return at && st.deps.secrets->now() - *at < age;
}

/// Counts, never names or contents.
void show(kube_secrets_state& st) {
  st.cell->set_in_flight(static_cast<std::uint32_t>(st.fetching.size()));
  st.cell->set_detail("fetched", std::to_string(st.fetched));
  st.cell->set_detail("kept", std::to_string(st.deps.secrets->size()));
  st.cell->set_detail("refused", std::to_string(st.refused.size()));
}

caf::result<bool> on_fetch(self_ptr self, const msg::fetch_secrets& m) {
  auto& st = self->state;
  std::vector<object_key> old;
  const object_key secret{m.remote.ns, m.remote.secret};
  const auto bundle = secrets::ca_bundle_secret(m.remote.ns);
  if (!secret.name.empty() && !is_young(st, secret, st.deps.young))
    old.push_back(secret);
  if (st.deps.secrets->has_ca_bundles() && bundle != secret && !is_young(st, bundle, st.deps.bundle_young))
    old.push_back(bundle);
  if (old.empty())
    return true;
  auto w = std::make_shared<kube_secrets_state::waiter>();
  w->promise = self->make_response_promise<bool>();
  w->left = old.size();
  for (const auto& key : old) {
    fetch(self, key);
    st.fetching.at(key).push_back(w);
  }
  drive_soon(self);
  return w->promise;
}

void on_tried(self_ptr self, const msg::secrets_tried& m) {
  auto& st = self->state;
  const object_key secret{m.remote.ns, m.remote.secret};
  if (!m.refused)
    st.refused.erase(secret);
  else if (!secret.name.empty() && (st.refused.size() < st.deps.max_refused || st.refused.contains(secret)))
    st.refused.try_emplace(secret, st.deps.secrets->version(secret));
  arm_recheck(self);
}

/// Some of them, in turn.
void on_recheck(self_ptr self) {
  auto& st = self->state;
  st.recheck_armed = false;
  const auto count = std::min(st.deps.rechecked_at_once, st.refused.size());
  auto at = st.refused.upper_bound(st.rechecked);
  for (std::size_t n = 0; n < count; ++n) {
    if (at == st.refused.end())
      at = st.refused.begin();
    st.rechecked = at->first;
    fetch(self, (at++)->first);
  }
  if (count > 0)
    drive_soon(self);
  arm_recheck(self);
}

} // namespace

kube_secrets_actor::behavior_type kube_secrets(self_ptr self, kube_secrets_deps deps) {
  install_default_handlers(self, kube_secrets_state::name);
  self->state.deps = std::move(deps);
  self->state.cell = self->state.deps.env.cells->add(kube_secrets_state::name, "");
  show(self->state);
  return {
    [self](const msg::fetch_secrets& m) -> caf::result<bool> {
      const handling h{*self->state.cell, "fetch_secrets", self->mailbox().size()};
      return on_fetch(self, m);
    },
    [self](const msg::secrets_tried& m) {
      const handling h{*self->state.cell, "secrets_tried", self->mailbox().size()};
      on_tried(self, m);
    },
    [self](const follow_secrets& m) { self->state.follower = m.whom; },
    [self](const msg::continue_transfers&) {
      const handling h{*self->state.cell, "continue_transfers", self->mailbox().size()};
      drive(self, show);
    },
    [self](const msg::recheck_secrets&) {
      const handling h{*self->state.cell, "recheck_secrets", self->mailbox().size()};
      on_recheck(self);
    },
  };
}

} // namespace veranda
