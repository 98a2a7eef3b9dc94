#include "actors/remote/remote_parts.hpp"

#include "actors/common/ask.hpp"
#include "messages/errors.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace veranda::remote_parts {

namespace {

/// An anonymous host counts by address, others by account.
std::string budget_of(const remote_identity& id) { return id.secret.empty() ? std::string{} : id.ns + "/" + id.secret; }

} // namespace

void with_secrets(self_ptr self, std::function<void()> then) {
  auto& st = self->state;
  if (!st.deps.secret_keeper || st.deps.identity.ns.empty()) {
    then();
    return;
  }
  ask(self, st.deps.secret_keeper, st.deps.secret_patience, msg::fetch_secrets{st.deps.identity}).then([then](bool) { then(); }, [then](caf::error&) { then(); });
  st.deps.wake_secret_keeper();
}

void tell_tried(self_ptr self, bool refused) {
  auto& st = self->state;
  if (st.deps.secret_keeper && !st.deps.identity.secret.empty() && (refused || st.secrets_refused))
    self->send(st.deps.secret_keeper, msg::secrets_tried{st.deps.identity, refused});
  st.secrets_refused = refused;
}

void enter_host(self_ptr self, bool user, bool fetch, std::function<void(std::uint64_t)> go, std::function<void(const failure&)> refused) {
  auto& st = self->state;
  if (!st.deps.hosts || st.deps.host.empty()) {
    go(std::uint64_t{0});
    return;
  }
  msg::enter_host wanted{st.deps.host, to_string(st.deps.identity), budget_of(st.deps.identity), user, fetch};
  ask(self, st.deps.hosts, st.deps.listing_patience, std::move(wanted))
    .then([go](const msg::host_pass& pass) { go(pass.probe); },
          [go, refused](caf::error& e) {
            const auto why = to_failure(e);
            if (why.code == ec::host_unavailable || why.code == ec::overloaded)
              refused(why);
            else
              go(std::uint64_t{0}); // nobody decides: better asked than left
          });
}

void tell_host(self_ptr self, std::uint64_t probe, const failure* why, std::optional<std::chrono::milliseconds> pause) {
  auto& st = self->state;
  if (st.deps.hosts && !st.deps.host.empty())
    self->send(st.deps.hosts, msg::host_answered{st.deps.host, to_string(st.deps.identity), budget_of(st.deps.identity), probe,
                                                 why != nullptr ? std::optional{*why} : std::nullopt, pause});
}

} // namespace veranda::remote_parts
