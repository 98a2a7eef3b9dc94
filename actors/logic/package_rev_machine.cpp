#include "actors/logic/package_rev_machine.hpp"

#include "actors/logic/resource_version.hpp"

#include <algorithm>
#include <utility>

namespace veranda::logic {

namespace {

bool is_removal(package_rev_call call) { return call == package_rev_call::release || call == package_rev_call::remove; }
bool is_write(package_rev_call call) { return call == package_rev_call::create || call == package_rev_call::patch; }

} // namespace

const char* to_string(package_rev_call call) noexcept {
  constexpr const char* names[] = {"read", "create", "patch", "release", "remove"};
  return names[static_cast<unsigned>(call)];
}

package_rev_machine::package_rev_machine(const package_rev_policy& policy) : policy_(policy) {}

// -- what is to be done

/// Whether an object without a revision is ours to remove.
bool package_rev_machine::leaves(const slot& s) const {
  if (s.label == nullptr)
    return false;
  const auto& of = s.label->second;
  return s.doomed || of.expelled || (of.known && of.synced);
}

std::optional<package_rev_call> package_rev_machine::needed(const slot& s) const {
  using enum package_rev_call;
  if (!ready() || (s.wanted_by == nullptr && (!s.there || !leaves(s))))
    return std::nullopt;
  if (s.read_first)
    return read;
  if (s.there && s.terminating) { // for good; what is wanted is made when it has gone
    if (s.held)
      return release;
    return s.wanted_by != nullptr && s.label == nullptr ? std::optional{read} : std::nullopt; // the watch does not see it go
  }
  if (s.wanted_by == nullptr)
    return s.held ? release : remove;
  if (!s.there)
    return create;
  return s.digest != s.wanted ? std::optional{patch} : std::nullopt;
}

/// Adds what is true of a slot to the sums, or takes it out of them.
void package_rev_machine::account(const slot& s, bool add) {
  const auto count = [add](std::size_t& sum, bool holds) { sum = holds ? (add ? sum + 1 : sum - 1) : sum; };
  const bool pending = s.in_flight || needed(s).has_value();
  const bool leftover = s.there && s.wanted_by == nullptr;
  count(counts_.desired, s.wanted_by != nullptr);
  count(counts_.present, s.there);
  count(counts_.pending, pending);
  count(counts_.failing, pending && s.failures > 0);
  count(counts_.strays, leftover && !leaves(s));
  if (s.label != nullptr)
    count(s.label->second.leaving, leftover);
}

/// After a change that concerns many.
void package_rev_machine::recount(time now) {
  counts_ = {};
  for (auto& [key, g] : groups_)
    g.leaving = 0;
  for (auto& n : slots_) {
    account(n.second, true);
    schedule(n, now);
  }
}

template <class Change>
void package_rev_machine::edit(node& n, time now, Change change) {
  account(n.second, false);
  change(n.second);
  account(n.second, true);
  schedule(n, now);
  drop_if_unused(n);
}

void package_rev_machine::schedule(node& n, time now) {
  auto& s = n.second;
  if (s.in_flight || s.queued || !needed(s))
    return;
  if (s.not_before <= now)
    return queue(n);
  if (!std::exchange(s.waiting, true))
    delayed_.push({s.not_before, n.first});
}

void package_rev_machine::queue(node& n) {
  auto& s = n.second;
  auto* g = s.wanted_by != nullptr ? s.wanted_by : s.label;
  s.queued = true;
  (is_removal(*needed(s)) ? g->second.removals : g->second.writes).push_back(&n);
  enlist(*g);
}

void package_rev_machine::enlist(group_node& g) {
  auto& of = g.second;
  const bool startable = !of.removals.empty() || (!of.writes.empty() && of.removing == 0);
  if (startable && !(of.failures > 0 && of.in_flight > 0) && !std::exchange(of.in_line, true))
    line_.push_back(&g);
}

/// The next of a repository's that still needs something now; it is in no queue any more.
package_rev_machine::node* package_rev_machine::take(group_node& g, time now) {
  auto& of = g.second;
  for (;;) {
    const bool removing = !of.removals.empty();
    auto& from = removing ? of.removals : of.writes;
    if (from.empty() || (!removing && of.removing > 0))
      return nullptr;
    auto& n = *from.front();
    from.pop_front();
    auto& s = n.second;
    s.queued = false;
    const auto call = needed(s);
    const bool here = (s.wanted_by != nullptr ? s.wanted_by : s.label) == &g;
    if (call && here && is_removal(*call) == removing && s.not_before <= now)
      return &n;
    if (call)
      schedule(n, now);
    drop_if_unused(n);
  }
}

/// What waited long enough gets into line.
void package_rev_machine::wake(time now) {
  while (!delayed_.empty() && delayed_.top().at <= now) {
    const auto at = slots_.find(delayed_.top().key);
    delayed_.pop();
    if (at == slots_.end())
      continue;
    at->second.waiting = false;
    schedule(*at, now);
    drop_if_unused(*at);
  }
  for (; !unconfirmed_.empty() && unconfirmed_.front().at <= now; unconfirmed_.pop_front())
    if (const auto at = slots_.find(unconfirmed_.front().key); at != slots_.end() && !at->second.answered.empty() && at->second.unconfirmed_at <= now)
      edit(*at, now, [](slot& s) { s.read_first = true; });
  while (!paused_.empty() && paused_.top().at <= now) {
    const auto at = groups_.find(paused_.top().key);
    paused_.pop();
    if (at == groups_.end())
      continue;
    at->second.waiting = false;
    enlist(*at);
    drop_if_unused(*at);
  }
}

std::vector<package_rev_order> package_rev_machine::start(time now) {
  std::vector<package_rev_order> out;
  wake(now);
  if (server_paused_ > now)
    return out;
  const auto most = server_failures_ > 0 ? std::size_t{1} : std::max<std::size_t>(1, policy_.max_in_flight);
  while (flights_.size() < most && !line_.empty()) {
    auto& g = *line_.front();
    line_.pop_front();
    g.second.in_line = false;
    if (g.second.paused > now) {
      if (!std::exchange(g.second.waiting, true))
        paused_.push({g.second.paused, g.first});
      continue;
    }
    if (auto* n = take(g, now)) {
      auto& s = n->second;
      const auto call = *needed(s);
      flights_.emplace(n->first, flight{call, s.uid, &g});
      ++g.second.in_flight;
      g.second.removing += is_removal(call) ? 1 : 0;
      edit(*n, now, [](slot& in) { in.in_flight = true; });
      out.push_back({call, n->first, call == package_rev_call::create ? std::string{} : s.uid, s.version, s.foreign});
      enlist(g);
    } else {
      drop_if_unused(g);
    }
  }
  return out;
}

std::optional<package_rev_machine::time> package_rev_machine::due() const {
  std::optional<time> out;
  const auto sooner = [&out](time at) { out = out ? std::min(*out, at) : at; };
  if (!delayed_.empty())
    sooner(delayed_.top().at);
  if (!paused_.empty())
    sooner(paused_.top().at);
  if (!unconfirmed_.empty())
    sooner(unconfirmed_.front().at);
  if (!line_.empty() && server_paused_ != time{})
    sooner(server_paused_);
  return out;
}

// -- who belongs where

package_rev_machine::group_node* package_rev_machine::group_of(const object_key& repository) { return &*groups_.try_emplace(repository).first; }

void package_rev_machine::refer(group_node*& from, group_node* to) {
  if (from == to)
    return;
  auto* const old = std::exchange(from, to);
  if (to != nullptr)
    ++to->second.references;
  if (old == nullptr)
    return;
  --old->second.references;
  drop_if_unused(*old);
}

void package_rev_machine::drop_if_unused(group_node& g) {
  const auto& of = g.second;
  if (of.known || of.expelled || of.in_line || of.waiting || of.references > 0 || of.in_flight > 0 || !of.removals.empty() || !of.writes.empty())
    return;
  groups_.erase(object_key{g.first});
}

void package_rev_machine::drop_if_unused(node& n) {
  const auto& s = n.second;
  if (s.wanted_by != nullptr || s.there || s.in_flight || s.queued || s.waiting || s.uncertain || !s.buried.empty())
    return;
  slots_.erase(object_key{n.first});
}

// -- the cache

void package_rev_machine::begin_revisions() { ++round_; }

void package_rev_machine::want(const object_key& key, const std::string& repository, const part_digest& digest, time now) {
  auto& n = *slots_.try_emplace(key).first;
  auto* const g = group_of({key.ns, repository});
  n.second.round = round_;
  if (n.second.wanted_by == g && n.second.wanted == digest)
    return;
  edit(n, now, [&](slot& s) {
    refer(s.wanted_by, g);
    s.wanted = digest;
    s.doomed = false;
    s.failures = s.repairs = 0;
    s.not_before = s.written = {};
  });
}

void package_rev_machine::end_revisions(time now) {
  std::vector<object_key> left;
  for (auto& [key, s] : slots_)
    if (s.wanted_by != nullptr && s.round != round_)
      left.push_back(key);
  for (const auto& key : left)
    edit(*slots_.find(key), now, [&](slot& s) { refer(s.wanted_by, nullptr); });
  loaded_ = true;
  recount(now);
}

void package_rev_machine::unwant(const object_key& key, time now) {
  const auto at = slots_.find(key);
  if (at == slots_.end())
    return;
  edit(*at, now, [&](slot& s) {
    refer(s.wanted_by, nullptr);
    s.doomed = true;
    s.failures = 0;
    s.not_before = {};
  });
}

void package_rev_machine::departed(const object_key& key, const std::string& repository, time now) {
  const auto at = slots_.find(key);
  if (at == slots_.end() || at->second.wanted_by != nullptr)
    return;
  const auto& s = at->second;
  if (s.label != nullptr && s.label->first.name != repository && !s.in_flight) // a write of ours may be giving it the label
    return;
  edit(*at, now, [](slot& leaving) { leaving.doomed = true; });
}

void package_rev_machine::set_repositories(const std::vector<known_repository>& all, time now) {
  std::unordered_map<object_key, bool> next;
  for (const auto& r : all)
    next.emplace(r.key, r.synced);
  bool matters = false;
  std::vector<object_key> unused;
  for (auto& [key, g] : groups_) {
    const auto at = next.find(key);
    const bool known = at != next.end();
    const bool synced = known && at->second;
    matters = matters || (g.leaving > 0 && (g.known != known || g.synced != synced));
    g.known = known;
    g.synced = synced;
    if (!known)
      unused.push_back(key);
  }
  for (const auto& [key, synced] : next)
    if (auto& g = group_of(key)->second; !g.known) {
      g.known = true;
      g.synced = synced;
    }
  for (const auto& key : unused)
    drop_if_unused(*groups_.find(key));
  if (matters)
    recount(now);
}

void package_rev_machine::expel(const object_key& repository, time now) {
  group_of(repository)->second.expelled = true;
  recount(now);
}

bool package_rev_machine::take_expelled(const object_key& repository) {
  const auto at = groups_.find(repository);
  if (at == groups_.end())
    return true;
  if (!ready() || at->second.leaving > 0 || at->second.in_flight > 0)
    return false;
  at->second.expelled = false;
  drop_if_unused(*at);
  return true;
}

// -- the API server

void package_rev_machine::show(const object_key& ns, slot& s, const package_rev_view& view) {
  s.there = true;
  s.uid = view.uid;
  s.version = view.resource_version;
  s.digest = view.digest;
  s.terminating = view.terminating;
  s.held = view.held;
  s.foreign = view.foreign;
  refer(s.label, view.repository.empty() ? nullptr : group_of({ns.ns, view.repository}));
}

void package_rev_machine::seen(const object_key& key, const package_rev_view& view, time now) {
  auto& n = *slots_.try_emplace(key).first;
  if (!n.second.buried.empty() && n.second.buried == view.uid)
    return; // from before its end
  edit(n, now, [&](slot& s) {
    if (s.there && s.uid == view.uid && !s.answered.empty() && known_older(view.resource_version, s.answered)) {
      s.suspect = true; // from before our own write
      return;
    }
    s.buried.clear();
    s.answered.clear();
    s.suspect = s.uncertain = false;
    show(key, s, view);
  });
}

void package_rev_machine::gone(const object_key& key, const std::string& uid, time now) {
  const auto at = slots_.find(key);
  if (at == slots_.end())
    return;
  edit(*at, now, [&](slot& s) {
    if (!s.buried.empty() && s.buried == uid) {
      s.buried.clear();
      return;
    }
    if (s.there && !uid.empty() && s.uid != uid)
      return;
    s.voided = s.in_flight;
    s.there = s.suspect = s.uncertain = s.read_first = false;
    s.answered.clear();
    refer(s.label, nullptr);
  });
}

void package_rev_machine::listed(time now) {
  std::vector<object_key> odd;
  for (const auto& [key, s] : slots_)
    if (s.suspect || s.uncertain || !s.buried.empty())
      odd.push_back(key);
  for (const auto& key : odd)
    edit(*slots_.find(key), now, [](slot& s) {
      s.read_first = s.read_first || std::exchange(s.suspect, false);
      s.buried.clear();
      s.uncertain = false;
    });
  if (!std::exchange(listed_, true))
    recount(now);
}

// -- answers

/// Ends the request that is under way for an object: `change` hears of it. The repository is let go of last.
template <class Change>
void package_rev_machine::land(const object_key& key, time now, Change change) {
  auto landed = flights_.extract(key);
  if (!landed)
    return;
  const auto& [call, uid, of] = landed.mapped();
  edit(*slots_.find(key), now, [&](slot& s) {
    s.in_flight = false;
    change(s, landed.mapped());
  });
  --of->second.in_flight;
  of->second.removing -= is_removal(call) ? 1 : 0;
  enlist(*of);
  drop_if_unused(*of);
}

void package_rev_machine::went_well(slot& s, group& g) {
  s.failures = 0;
  g.failures = 0;
  g.paused = {};
  g.said.reset();
  server_failures_ = 0;
  server_paused_ = {};
  server_said_.reset();
}

/// It has ended; the watch may still tell of it.
void package_rev_machine::bury(slot& s) {
  s.buried = s.label != nullptr ? s.uid : std::string{}; // else it never will
  s.there = s.suspect = false;
  s.answered.clear();
  refer(s.label, nullptr);
}

void package_rev_machine::answered(const object_key& key, const package_rev_view& view, time now) {
  land(key, now, [&](slot& s, const flight& landed) {
    went_well(s, landed.of->second);
    if (is_write(landed.call)) {
      s.repairs = s.written != time{} && now - s.written < policy_.calm ? static_cast<std::uint16_t>(std::min<int>(s.repairs + 1, 1'000)) : std::uint16_t{0};
      s.written = now;
      s.not_before = s.repairs == 0 ? time{} : now + next_delay(policy_.backoff, s.repairs - 1U, 1.0);
    }
    if (std::exchange(s.voided, false))
      return;
    const bool about_it = landed.call == package_rev_call::read || (s.there ? s.uid == view.uid && !known_older(view.resource_version, s.version)
                                                                            : landed.call == package_rev_call::create);
    if (!about_it)
      return;
    s.read_first = s.suspect = s.uncertain = false;
    if (view.ended && landed.call != package_rev_call::read) {
      bury(s);
      return;
    }
    const bool shown = s.there && s.uid == view.uid && s.version == view.resource_version; // the watch was faster
    show(key, s, view);
    if (!shown) {
      s.answered = view.resource_version;
      s.unconfirmed_at = now + policy_.confirmation;
      if (landed.call != package_rev_call::read)
        unconfirmed_.push_back({s.unconfirmed_at, key});
    }
    if (view.terminating && !view.held && view.repository.empty())
      s.not_before = now + policy_.server_backoff.max;
  });
}

void package_rev_machine::ended(const object_key& key, time now) {
  land(key, now, [&](slot& s, const flight& landed) {
    went_well(s, landed.of->second);
    s.read_first = false;
    const bool voided = std::exchange(s.voided, false);
    if (!s.there || s.uid != landed.uid)
      return;
    bury(s);
    if (voided)
      s.buried.clear();
  });
}

void package_rev_machine::exists(const object_key& key, time now) {
  land(key, now, [&](slot& s, const flight& landed) {
    went_well(s, landed.of->second);
    s.voided = false;
    s.read_first = !s.there; // else the watch has shown it
  });
}

void package_rev_machine::retry_later(slot& s, time now, double draw) const {
  s.not_before = std::max(s.not_before, now + next_delay(policy_.backoff, s.failures - 1U, draw));
}

/// Everything waits: the server does not serve.
bool package_rev_machine::pause_server(slot& s, const failure& why, time now, double draw) {
  auto delay = next_delay(policy_.server_backoff, server_failures_++, draw);
  if (why.retry_after && *why.retry_after > delay)
    delay = stretched(std::min(*why.retry_after, policy_.longest_wait), draw);
  server_paused_ = std::max(server_paused_, now + delay);
  if (why.code == ec::unavailable || why.code == ec::timed_out) // maybe it is this one that the server cannot cope with
    retry_later(s, now, draw);
  return std::exchange(server_said_, why.code) != why.code;
}

bool package_rev_machine::pause_repository(group_node& g, const failure& why, time now, double draw) {
  auto& of = g.second;
  of.paused = std::max(of.paused, now + next_delay(policy_.backoff, of.failures++, draw));
  return std::exchange(of.said, why.code) != why.code;
}

bool package_rev_machine::failed(const object_key& key, const failure& why, time now, double draw) {
  bool news = false;
  land(key, now, [&](slot& s, const flight& landed) {
    s.voided = false;
    const auto kind = class_of(why.code);
    if (kind == error_class::stop)
      return;
    s.failures = static_cast<std::uint16_t>(std::min<int>(s.failures + 1, 1'000));
    s.uncertain = s.uncertain || (landed.call == package_rev_call::create && !s.there && kind == error_class::retry);
    if (why.code == ec::conflict) {
      s.read_first = s.there;
      if (s.failures > 2)
        retry_later(s, now, draw);
    } else if (kind == error_class::retry || why.code == ec::throttled || why.code == ec::overloaded) {
      news = pause_server(s, why, now, draw);
    } else if (why.code == ec::auth_rejected || why.code == ec::not_found || why.code == ec::dependency_missing) {
      news = pause_repository(*landed.of, why, now, draw);
    } else {
      s.not_before = now + stretched(policy_.refused_pause, draw);
      news = std::exchange(landed.of->second.said, why.code) != why.code;
    }
  });
  return news;
}

} // namespace veranda::logic
