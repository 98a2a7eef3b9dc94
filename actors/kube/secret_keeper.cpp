#include "actors/kube/secret_keeper.hpp"

#include "actors/common/guard.hpp"
#include "actors/kube/driving.hpp"
#include "adapters/secrets/secret_reading.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <cstring>

namespace veranda {

namespace {

using self_ptr = kube_secrets_actor::stateful_pointer<kube_secrets_state>;
using logic::secret_ledger;

constexpr std::size_t most_secret_bytes = 4U << 20U; ///< servers allow 1 MiB of data, which is a third more as text
constexpr std::size_t most_said = 1'000;             ///< namespaces

/// What an answer means for whoever wants the Secret; never with a byte of it.
result<secrets::fetched_secret> read_answer(result<kube::api_answer> answer, const kube::api_request& request, const object_key& key) {
  const int status = answer ? answer->status : 0;
  auto body = answer ? kube::body_of(std::move(*answer), request) : result<std::string>{answer.error()};
  if (body) {
    auto read = secrets::read_fetched(*body, key);
    explicit_bzero(body->data(), body->size());
    return read;
  }
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

secret_ledger::since watched_since(const kube_secrets_state& st, const std::string& ns) { return st.watch ? st.watch->complete_since(ns) : std::nullopt; }

/// The Secrets that a remote is opened with.
std::vector<object_key> secrets_of(const kube_secrets_state& st, const remote_identity& remote) {
  std::vector<object_key> out;
  if (!remote.secret.empty())
    out.push_back({remote.ns, remote.secret});
  if (auto bundle = secrets::ca_bundle_secret(remote.ns); st.deps.secrets->has_ca_bundles() && bundle.name != remote.secret)
    out.push_back(std::move(bundle));
  return out;
}

void arm_recheck(self_ptr self) {
  auto& st = self->state;
  if (st.ledger.refused() > 0 && !std::exchange(st.recheck_armed, true))
    self->delayed_send(self, st.deps.recheck, msg::recheck_secrets{});
}

// -- reading

void tell_change(self_ptr self, const object_key& key) {
  log::info(kube_secrets_state::name, "a Secret has changed, or what can be read of it; those who use it sync", {{"secret", to_string(key)}});
  if (self->state.follower)
    self->send(self->state.follower, msg::secret_changed{key});
}

void fetched(self_ptr self, const object_key& key, result<secrets::fetched_secret> outcome) {
  auto& st = self->state;
  say(st, key, outcome);
  st.fetched += outcome ? 1 : 0;
  if (st.ledger.used(key)) { // nobody may use it any more
    logic::secret_reading reading;
    reading.sound = outcome || outcome.error().code == ec::dependency_missing;
    reading.another = st.deps.secrets->store(key, std::move(outcome));
    reading.version = st.deps.secrets->version(key);
    if (st.ledger.ended(key, reading, st.deps.secrets->now(), watched_since(st, key.ns)))
      tell_change(self, key);
  }
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
  st.ledger.begun(key);
  auto request = kube::get_request(secret_type(), key);
  request.timeout = st.deps.timeout;
  request.max_bytes = most_secret_bytes;
  st.deps.client->start(request, [self, key, request, alive = std::weak_ptr{st.alive}](result<kube::api_answer> answer) {
    if (!alive.expired())
      fetched(self, key, read_answer(std::move(answer), request, key));
  });
}

bool must_read(const kube_secrets_state& st, const object_key& key) {
  const auto young = key == secrets::ca_bundle_secret(key.ns) ? st.deps.bundle_young : st.deps.young;
  const auto& kept = *st.deps.secrets; // it may have made room
  return !kept.fetched_at(key) || st.ledger.must_read(key, kept.now(), young, watched_since(st, key.ns));
}

// -- going on

void report(kube_secrets_state& st) {
  const auto text = st.watch->problem();
  if (st.told_problem == text || (st.watch->idle() && !st.told_problem))
    return;
  st.told_problem = text;
  if (st.deps.problem)
    st.deps.problem(text);
}

void follow(self_ptr self) {
  auto& st = self->state;
  st.watch->step(self->clock().now(), st.deps.secrets->now(), [&st](const object_key& key, const std::string& version) {
    if (st.ledger.used(key) && st.deps.secrets->version(key) != version)
      st.ledger.changed(key, version);
  });
  report(st);
  for (const auto& key : st.ledger.stale(st.deps.read_at_once - std::min(st.deps.read_at_once, st.fetching.size())))
    fetch(self, key);
}

/// Counts, never names or contents.
void show(kube_secrets_state& st) {
  st.cell->set_in_flight(static_cast<std::uint32_t>(st.fetching.size()));
  st.cell->set_detail("fetched", std::to_string(st.fetched));
  st.cell->set_detail("kept", std::to_string(st.deps.secrets->size()));
  st.cell->set_detail("refused", std::to_string(st.ledger.refused()));
  if (!st.watch)
    return;
  st.cell->set_detail("watch", st.watch->idle() ? "not needed" : st.told_problem.value_or("").empty() ? "ok" : "broken");
  st.cell->set_detail("watched", std::to_string(st.watch->size()));
}

std::chrono::milliseconds idle_time(self_ptr self) {
  auto& st = self->state;
  const auto due = st.watch ? st.watch->due() : std::nullopt;
  if (!due)
    return st.deps.slice;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*due - self->clock().now()) + std::chrono::milliseconds{1};
  return std::clamp(left, std::chrono::milliseconds{1}, st.deps.slice);
}

/// One slice; others follow as long as a call is under way or something is watched.
void go_on(self_ptr self) {
  auto& st = self->state;
  if (st.watch) {
    const handling h{*st.cell, "continue_transfers", self->mailbox().size()};
    follow(self);
  }
  const auto busy = [&st] { return st.deps.client->active() > 0 || (st.watch && !st.watch->idle()); };
  if (busy())
    st.deps.client->run_for(idle_time(self)); // mostly waiting, so it does not count as work
  show(st);
  st.driving = busy();
  if (st.driving && st.deps.rest.count() > 0)
    self->delayed_send(self, st.deps.rest, msg::continue_transfers{});
  else if (st.driving)
    self->send(self, msg::continue_transfers{});
}

// -- messages

caf::result<bool> on_fetch(self_ptr self, const msg::fetch_secrets& m) {
  auto& st = self->state;
  std::vector<object_key> old;
  for (auto& key : secrets_of(st, m.remote)) {
    st.ledger.use(key, to_string(m.remote));
    if (st.watch)
      st.watch->want(key.ns);
    if (must_read(st, key))
      old.push_back(std::move(key));
  }
  if (st.watch)
    drive_soon(self);
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
  st.ledger.tried(secret, m.refused, st.deps.secrets->version(secret), st.deps.secrets->now(), st.deps.young, watched_since(st, secret.ns));
  arm_recheck(self);
}

void on_unused(self_ptr self, const msg::secrets_unused& m) {
  auto& st = self->state;
  for (const auto& key : secrets_of(st, m.remote))
    if (st.ledger.let_go(key, to_string(m.remote)))
      st.deps.secrets->forget(key);
  if (st.watch) {
    st.watch->keep([&st](const std::string& scope) { return scope.empty() ? !st.ledger.empty() : st.ledger.uses(scope); });
    report(st);
  }
  show(st);
}

void on_recheck(self_ptr self) {
  auto& st = self->state;
  st.recheck_armed = false;
  const auto some = st.ledger.overdue(st.deps.read_at_once, [&st](const std::string& ns) { return watched_since(st, ns); });
  for (const auto& key : some)
    fetch(self, key);
  if (!some.empty())
    drive_soon(self);
  arm_recheck(self);
}

} // namespace

kube_secrets_state::~kube_secrets_state() {
  drop_calls(*this);
  watch.reset();
}

kube_secrets_actor::behavior_type kube_secrets(self_ptr self, kube_secrets_deps deps) {
  install_default_handlers(self, kube_secrets_state::name);
  auto& state = self->state;
  state.deps = std::move(deps);
  state.cell = state.deps.env.cells->add(kube_secrets_state::name, "");
  if (state.deps.watch)
    state.watch = std::make_unique<secret_watch>(*state.deps.client, *state.deps.watch);
  show(state);
  return {
    [self](const msg::fetch_secrets& m) -> caf::result<bool> {
      const handling h{*self->state.cell, "fetch_secrets", self->mailbox().size()};
      return on_fetch(self, m);
    },
    [self](const msg::secrets_tried& m) {
      const handling h{*self->state.cell, "secrets_tried", self->mailbox().size()};
      on_tried(self, m);
    },
    [self](const msg::secrets_unused& m) {
      const handling h{*self->state.cell, "secrets_unused", self->mailbox().size()};
      on_unused(self, m);
    },
    [self](const follow_secrets& m) { self->state.follower = m.whom; },
    [self](const msg::continue_transfers&) { go_on(self); },
    [self](const msg::recheck_secrets&) {
      const handling h{*self->state.cell, "recheck_secrets", self->mailbox().size()};
      on_recheck(self);
    },
  };
}

} // namespace veranda
