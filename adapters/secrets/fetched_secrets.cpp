#include "adapters/secrets/fetched_secrets.hpp"

#include "adapters/secrets/secret_reading.hpp"
#include "adapters/source/manifest_file.hpp"

#include <nlohmann/json.hpp>

#include <cstring>

namespace veranda::secrets {
namespace {

constexpr std::size_t entry_overhead = 300; ///< about

std::string about(const object_key& key) { return "Secret " + to_string(key); }

/// Whether the same question may have a better answer soon.
bool may_pass(const failure& why) { return why.code != ec::dependency_missing && class_of(why.code) != error_class::needs_change; }

void wipe(source::secret_bytes& bytes) {
  for (auto& [name, value] : bytes.data)
    explicit_bzero(value.data(), value.size());
}

bool same(const result<source::secret_bytes>& a, const result<source::secret_bytes>& b) {
  if (!a || !b)
    return !a && !b && a.error() == b.error();
  return a->type == b->type && a->data == b->data && a->annotations == b->annotations;
}

} // namespace

result<fetched_secret> read_fetched(std::string_view json, const object_key& key) {
  try {
    source::manifest_limits limits;
    limits.max_documents = 1;
    auto found = source::find_secret(json, "secret.json", key, limits);
    if (!found)
      return failure{ec::unavailable, "the API server answered with something else than the Secret", about(key), {}, {}};
    if (!*found)
      return std::move(*found).error();
    fetched_secret out{**std::move(found), {}};
    const auto meta = nlohmann::json::parse(json).at("metadata");
    out.version = version_of(meta.value("uid", std::string{}), meta.value("resourceVersion", std::string{}));
    keep_what_is_used(out.bytes);
    return out;
  } catch (const nlohmann::json::exception&) { // its text may quote values
    return failure{ec::unavailable, "the API server answered with something else than the Secret", about(key), {}, {}};
  }
}

result<credentials> fetched_secrets::resolve(const std::string& ns, const std::string& name, const std::string& host) {
  credentials out;
  if (!name.empty()) {
    const object_key key{ns, name};
    auto bytes = find(key);
    if (!bytes)
      return std::move(bytes).error();
    const auto done = read_credentials(key, *bytes, host, out);
    wipe(*bytes);
    if (!done)
      return done.error();
  }
  if (!options_.ca_bundles || ns.empty() || !out.ca_bundle_pem.empty())
    return out;
  const auto key = ca_bundle_secret(ns);
  auto bundle = find(key);
  if (!bundle) // the namespace need not have one, and who may not read it cannot know
    return may_pass(bundle.error()) ? result<credentials>{std::move(bundle).error()} : result<credentials>{std::move(out)};
  if (auto done = read_ca_bundle(key, *bundle, out); !done)
    return done.error();
  return out;
}

result<source::secret_bytes> fetched_secrets::find(const object_key& key) {
  const std::lock_guard lock{mutex_};
  const auto at = all_.find(key);
  if (at == all_.end())
    return failure{ec::unavailable, "has not been read from the API server yet", about(key), {}, {}};
  auto& e = at->second;
  by_use_.erase(e.used);
  e.used = ++uses_;
  by_use_.emplace(e.used, key);
  if (e.known && (!e.passing || now_() - e.answered < options_.keep_known))
    return *e.known;
  return e.passing.value_or(failure{ec::unavailable, "could not be read from the API server", about(key), {}, {}});
}

std::size_t fetched_secrets::size_of(const entry& e) {
  std::size_t size = entry_overhead;
  if (e.known && *e.known)
    for (const auto* part : {&(*e.known)->data, &(*e.known)->annotations})
      for (const auto& [name, value] : *part)
        size += name.size() + value.size();
  return size;
}

bool fetched_secrets::store(const object_key& key, result<fetched_secret> fetched) {
  const std::lock_guard lock{mutex_};
  bool another = false;
  auto& e = all_[key];
  bytes_ -= e.used == 0 ? 0 : size_of(e);
  e.fetched = now_();
  if (!fetched && may_pass(fetched.error())) {
    e.passing = std::move(fetched).error();
  } else {
    e.version = fetched ? std::move(fetched->version) : std::string{to_string(fetched.error().code)} + " " + fetched.error().field;
    auto known = fetched ? result<source::secret_bytes>{std::move(fetched->bytes)} : result<source::secret_bytes>{std::move(fetched).error()};
    another = e.known && !same(*e.known, known);
    if (e.known && *e.known)
      wipe(**e.known);
    e.known = std::move(known);
    e.passing.reset();
    e.answered = e.fetched;
  }
  by_use_.erase(e.used);
  e.used = ++uses_;
  by_use_.emplace(e.used, key);
  bytes_ += size_of(e);
  make_room();
  return another;
}

void fetched_secrets::drop(std::map<object_key, entry>::iterator at) {
  auto& e = at->second;
  bytes_ -= size_of(e);
  if (e.known && *e.known)
    wipe(**e.known);
  by_use_.erase(e.used);
  all_.erase(at);
}

void fetched_secrets::forget(const object_key& key) {
  const std::lock_guard lock{mutex_};
  if (const auto at = all_.find(key); at != all_.end())
    drop(at);
}

void fetched_secrets::make_room() {
  while (all_.size() > 1 && (all_.size() > options_.max_secrets || bytes_ > options_.max_bytes))
    drop(all_.find(by_use_.begin()->second));
}

std::optional<fetched_secrets::time> fetched_secrets::fetched_at(const object_key& key) const {
  const std::lock_guard lock{mutex_};
  const auto at = all_.find(key);
  return at == all_.end() ? std::nullopt : std::optional{at->second.fetched};
}

std::string fetched_secrets::version(const object_key& key) const {
  const std::lock_guard lock{mutex_};
  const auto at = all_.find(key);
  return at == all_.end() ? std::string{} : at->second.version;
}

std::size_t fetched_secrets::size() const {
  const std::lock_guard lock{mutex_};
  return all_.size();
}

} // namespace veranda::secrets
