#include "actors/logic/secret_ledger.hpp"

#include <utility>

namespace veranda::logic {

void secret_ledger::use(const object_key& secret, const std::string& user) { all_[secret].users.insert(user); }

bool secret_ledger::let_go(const object_key& secret, const std::string& user) {
  const auto at = all_.find(secret);
  if (at == all_.end())
    return false;
  at->second.users.erase(user);
  if (!at->second.users.empty())
    return false;
  set_refused(at->second, std::nullopt);
  stale_.erase(secret);
  all_.erase(at);
  return true;
}

bool secret_ledger::uses(const std::string& ns) const {
  const auto at = all_.lower_bound({ns, {}});
  return at != all_.end() && at->first.ns == ns;
}

bool secret_ledger::must_read(const object_key& secret, time now, std::chrono::milliseconds young, since watched_since) const {
  const auto at = all_.find(secret);
  if (at == all_.end() || !at->second.read || at->second.seen)
    return true;
  return now - *at->second.read >= young && !good(at->second, watched_since);
}

void secret_ledger::begun(const object_key& secret) {
  const auto at = all_.find(secret);
  if (at == all_.end())
    return;
  at->second.reading = true;
  at->second.seen.reset();
  stale_.erase(secret);
}

bool secret_ledger::ended(const object_key& secret, const secret_reading& reading, time now, since watched_since) {
  const auto at = all_.find(secret);
  if (at == all_.end())
    return false;
  auto& e = at->second;
  e.reading = false;
  e.read = now;
  e.sound = reading.sound;
  if (e.seen && *e.seen == reading.version) { // it came while that was read
    e.seen.reset();
    stale_.erase(secret);
  }
  bool tell = watched_since && reading.another;
  if (e.refused && *e.refused != reading.version) {
    e.refused = reading.version;
    tell = true;
  }
  return tell;
}

void secret_ledger::mark(const object_key& secret, entry& e, const std::string& version) {
  e.seen = version;
  stale_.insert(secret);
}

void secret_ledger::changed(const object_key& secret, const std::string& version) {
  if (const auto at = all_.find(secret); at != all_.end())
    mark(secret, at->second, version);
}

void secret_ledger::set_refused(entry& e, std::optional<std::string> version) {
  refused_ -= e.refused ? 1 : 0;
  e.refused = std::move(version);
  refused_ += e.refused ? 1 : 0;
}

void secret_ledger::tried(const object_key& secret, bool refused, const std::string& version, time now, std::chrono::milliseconds young, since watched_since) {
  const auto at = all_.find(secret);
  if (at == all_.end())
    return;
  auto& e = at->second;
  if (!refused)
    return set_refused(e, std::nullopt);
  if (!e.refused)
    set_refused(e, version);
  // A watch whose connection is dead shows that only after minutes.
  if (watched_since && !e.reading && !e.seen && e.read && now - *e.read >= young)
    mark(secret, e, version);
}

std::vector<object_key> secret_ledger::stale(std::size_t most) const {
  std::vector<object_key> out;
  for (const auto& key : stale_) {
    if (out.size() >= most)
      break;
    if (!all_.at(key).reading)
      out.push_back(key);
  }
  return out;
}

std::vector<object_key> secret_ledger::overdue(std::size_t most, const std::function<since(const std::string&)>& watched_since) {
  std::vector<object_key> out;
  auto at = all_.upper_bound(last_);
  for (std::size_t n = all_.size(); n > 0 && out.size() < most; --n, ++at) {
    if (at == all_.end())
      at = all_.begin();
    const auto& e = at->second;
    if (e.refused && !e.reading && !good(e, watched_since(at->first.ns)))
      out.push_back(last_ = at->first);
  }
  return out;
}

} // namespace veranda::logic
