#include "actors/kube/secret_watch.hpp"

#include "actors/common/log.hpp"
#include "adapters/secrets/fetched_secrets.hpp"

namespace veranda {

namespace {

using told = logic::reflector_event;

constexpr std::size_t max_events = 1'000; ///< of one step
/// Most Secrets of a cluster are of these types, and none of them opens a remote.
constexpr const char* of_use = "type!=kubernetes.io/service-account-token,type!=helm.sh/release.v1";

std::string explain(const failure& why, const std::string& ns) {
  auto text = describe(why);
  if (why.code == ec::auth_rejected)
    text += "; grant list and watch on secrets" + (ns.empty() ? std::string{} : " in namespace " + ns);
  return text;
}

} // namespace

const kube::resource_type& secret_type() {
  static const kube::resource_type type{"", "v1", "secrets", "Secret"};
  return type;
}

void secret_watch::want(const std::string& ns) {
  const auto name = scope_of(ns);
  auto& s = scopes_[name];
  if (!s.follower)
    s.follower = std::make_unique<kube::collection_follower>(client_, kube::metadata_of(secret_type()), kube::api_scope{name, {}, of_use}, options_.policy, options_.seed ^ std::hash<std::string>{}(name));
}

void secret_watch::keep(const std::function<bool(const std::string&)>& wanted) {
  std::erase_if(scopes_, [&](const auto& one) { return !wanted(one.first); });
}

void secret_watch::step(time now, time stamp, const on_change& changed) {
  for (auto& [name, s] : scopes_) {
    s.follower->step(now, max_events);
    for (const auto& event : s.follower->take_events()) {
      if (event.type == told::kind::deleted)
        changed(event.object.key, {});
      else if (event.type == told::kind::added || event.type == told::kind::modified)
        changed(event.object.key, secrets::version_of(event.object.uid, event.object.resource_version));
      else if (event.type == told::kind::applied && !s.listed)
        s.listed = stamp;
    }
    report(name, s);
  }
}

void secret_watch::report(const std::string& name, scope& s) {
  const auto& state = s.follower->state();
  const auto text = state.problem() ? explain(*state.problem(), name) : std::string{};
  if (s.said == text || (text.empty() && !state.synced()))
    return;
  s.said = text;
  const auto where = name.empty() ? std::string{"all"} : name;
  if (text.empty())
    log::info(secret_keeper_name, "Secrets are watched", {{"namespace", where}});
  else
    log::warn(secret_keeper_name, "Secrets cannot be watched; they are read before each use until that works", {{"namespace", where}, {"err", text}});
}

std::optional<secret_watch::time> secret_watch::complete_since(const std::string& ns) const {
  const auto at = scopes_.find(scope_of(ns));
  return at == scopes_.end() || at->second.follower->state().problem() ? std::nullopt : at->second.listed;
}

std::string secret_watch::problem() const {
  for (const auto& [name, s] : scopes_)
    if (const auto& why = s.follower->state().problem())
      return explain(*why, name);
  return {};
}

std::optional<secret_watch::time> secret_watch::due() const {
  std::optional<time> out;
  for (const auto& [name, s] : scopes_)
    if (const auto at = s.follower->due(); at && (!out || *at < *out))
      out = at;
  return out;
}

std::size_t secret_watch::size() const {
  std::size_t n = 0;
  for (const auto& [name, s] : scopes_)
    n += s.follower->state().size();
  return n;
}

} // namespace veranda
