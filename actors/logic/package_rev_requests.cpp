#include "actors/logic/package_rev_machine.hpp"
#include "actors/logic/resource_version.hpp"

#include <algorithm>
#include <utility>

// Requests: which is next, when, and what their answers say.

namespace veranda::logic {

namespace {

bool is_removal(package_rev_call call) { return call == package_rev_call::release || call == package_rev_call::remove; }
bool is_write(package_rev_call call) { return call == package_rev_call::create || call == package_rev_call::patch; }

/// Whether it is another cause than the last.
bool say(std::optional<failure>& said, const failure& why) {
  const bool news = !said || said->code != why.code;
  said = why;
  return news;
}

} // namespace

const char* to_string(package_rev_call call) noexcept {
  constexpr const char* names[] = {"read", "create", "patch", "release", "remove"};
  return names[static_cast<unsigned>(call)];
}

// -- whose turn it is

void package_rev_machine::schedule(node& n, time now) {
  auto& s = n.second;
  if (s.in_flight || s.queued || !needed(s)) return;
  if (s.not_before <= now) return queue(n);
  if (!std::exchange(s.waiting, true)) delayed_.push({s.not_before, n.first});
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
  if (startable && !(of.failures > 0 && of.in_flight > 0) && !std::exchange(of.in_line, true)) line_.push_back(&g);
}

/// The next of a repository's that still needs something now; it is in no queue any more.
package_rev_machine::node* package_rev_machine::take(group_node& g, time now) {
  auto& of = g.second;
  for (;;) {
    const bool removing = !of.removals.empty();
    auto& from = removing ? of.removals : of.writes;
    if (from.empty() || (!removing && of.removing > 0)) return nullptr;
    auto& n = *from.front();
    from.pop_front();
    auto& s = n.second;
    s.queued = false;
    const auto call = needed(s);
    const bool here = (s.wanted_by != nullptr ? s.wanted_by : s.label) == &g;
    if (call && here && is_removal(*call) == removing && s.not_before <= now) return &n;
    if (call) schedule(n, now);
    drop_if_unused(n);
  }
}

/// What waited long enough gets into line.
void package_rev_machine::wake(time now) {
  while (!delayed_.empty() && delayed_.top().at <= now) {
    const auto at = slots_.find(delayed_.top().key);
    delayed_.pop();
    if (at == slots_.end()) continue;
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
    if (at == groups_.end()) continue;
    at->second.waiting = false;
    enlist(*at);
    drop_if_unused(*at);
  }
}

std::vector<package_rev_order> package_rev_machine::start(time now) {
  std::vector<package_rev_order> out;
  wake(now);
  if (server_paused_ > now) return out;
  const auto most = server_failures_ > 0 ? std::size_t{1} : std::max<std::size_t>(1, policy_.max_in_flight);
  while (flights_.size() < most && !line_.empty()) {
    auto& g = *line_.front();
    line_.pop_front();
    g.second.in_line = false;
    if (g.second.paused > now) {
      if (!std::exchange(g.second.waiting, true)) paused_.push({g.second.paused, g.first});
      continue;
    }
    if (auto* n = take(g, now)) {
      auto& s = n->second;
      const auto call = *needed(s);
      flights_.emplace(n->first, flight{call, s.uid, &g});
      ++g.second.in_flight;
      g.second.removing += is_removal(call) ? 1 : 0;
      edit(*n, now, [](slot& in) { in.in_flight = true; });
      const bool absent = is_removal(call) && !s.terminating && !g.second.expelled;
      out.push_back({call, n->first, g.first, absent, call == package_rev_call::create ? std::string{} : s.uid, s.version, s.foreign});
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
  if (!delayed_.empty()) sooner(delayed_.top().at);
  if (!paused_.empty()) sooner(paused_.top().at);
  if (!unconfirmed_.empty()) sooner(unconfirmed_.front().at);
  if (!line_.empty() && server_paused_ != time{}) sooner(server_paused_);
  return out;
}

// -- answers

/// Ends the request that is under way for an object: `change` hears of it. The repository is let go of last.
template <class Change>
void package_rev_machine::land(const object_key& key, time now, Change change) {
  auto landed = flights_.extract(key);
  if (!landed) return;
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
void package_rev_machine::bury(slot& s, time now) {
  mourn(s, now);
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
    if (std::exchange(s.voided, false)) return;
    const bool about_it = landed.call == package_rev_call::read || (s.there ? s.uid == view.uid && !known_older(view.resource_version, s.version)
                                                                            : landed.call == package_rev_call::create);
    if (!about_it) return;
    s.read_first = s.suspect = false;
    if (view.ended && landed.call != package_rev_call::read) {
      bury(s, now);
      return;
    }
    const bool shown = s.there && s.uid == view.uid && s.version == view.resource_version; // the watch was faster
    show(key, s, view);
    if (!shown) {
      s.answered = view.resource_version;
      s.unconfirmed_at = now + policy_.confirmation;
      if (landed.call != package_rev_call::read) unconfirmed_.push_back({s.unconfirmed_at, key});
    }
    if (view.terminating && !view.held && view.repository.empty()) s.not_before = now + policy_.server_backoff.max;
  });
}

void package_rev_machine::ended(const object_key& key, time now) {
  land(key, now, [&](slot& s, const flight& landed) {
    went_well(s, landed.of->second);
    s.read_first = false;
    const bool voided = std::exchange(s.voided, false);
    if (!s.there || s.uid != landed.uid) return;
    bury(s, now);
    if (voided) s.buried.clear();
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
  if (why.retry_after && *why.retry_after > delay) delay = stretched(std::min(*why.retry_after, policy_.longest_wait), draw);
  server_paused_ = std::max(server_paused_, now + delay);
  if (why.code == ec::unavailable || why.code == ec::timed_out) // maybe it is this one that the server cannot cope with
    retry_later(s, now, draw);
  return std::exchange(server_said_, why.code) != why.code;
}

bool package_rev_machine::pause_repository(group_node& g, const failure& why, time now, double draw) {
  auto& of = g.second;
  of.paused = std::max(of.paused, now + next_delay(policy_.backoff, of.failures++, draw));
  return say(of.said, why);
}

bool package_rev_machine::failed(const object_key& key, const failure& why, time now, double draw) {
  bool news = false;
  land(key, now, [&](slot& s, const flight& landed) {
    s.voided = false;
    const auto kind = class_of(why.code);
    if (kind == error_class::stop) return;
    s.failures = static_cast<std::uint16_t>(std::min<int>(s.failures + 1, 1'000));
    if (why.code == ec::conflict) {
      s.read_first = s.there;
      if (s.failures > 2) retry_later(s, now, draw);
    } else if (kind == error_class::retry || why.code == ec::throttled || why.code == ec::overloaded || why.code == ec::unsupported) { // a login page: no object's fault
      news = pause_server(s, why, now, draw);
    } else if (why.code == ec::auth_rejected || why.code == ec::not_found || why.code == ec::dependency_missing) {
      news = pause_repository(*landed.of, why, now, draw);
    } else {
      s.not_before = now + stretched(policy_.refused_pause, draw);
      news = say(landed.of->second.said, why);
    }
  });
  return news;
}

} // namespace veranda::logic
