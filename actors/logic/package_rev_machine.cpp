#include "actors/logic/package_rev_machine.hpp"

#include "actors/logic/resource_version.hpp"

#include <algorithm>
#include <utility>

// What is wanted, what is there, and what follows from both. The requests themselves: package_rev_requests.cpp.

namespace veranda::logic {

package_rev_machine::package_rev_machine(const package_rev_policy& policy) : policy_(policy) {}

// -- what is to be done

/// Whether an object without a revision is to go.
bool package_rev_machine::leaves(const slot& s) { return s.label != nullptr && (s.label->second.expelled || s.label->second.in_step); }

std::optional<package_rev_call> package_rev_machine::needed(const slot& s) const {
  using enum package_rev_call;
  const bool wanted = s.wanted_by != nullptr;
  const bool ends = s.there && s.terminating; // for good; what is wanted is made when it has gone
  const bool ours = wanted ? s.wanted_by->second.in_step : s.there && leaves(s);
  const bool lost = ends && s.mine && (wanted || s.label != nullptr);
  if (!ready() || (!ours && !lost)) return std::nullopt;
  if (s.read_first) return read;
  if (ends) {
    if (s.held) return release;
    return wanted && s.label == nullptr ? std::optional{read} : std::nullopt; // the watch does not see it go
  }
  if (!wanted) return s.held ? release : remove;
  if (!s.there) return create;
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
  if (s.label != nullptr) count(s.label->second.leaving, leftover);
}

/// After a change that concerns many.
void package_rev_machine::recount(time now) {
  counts_ = {};
  for (auto& [key, g] : groups_) g.leaving = 0;
  for (auto& n : slots_) {
    account(n.second, true);
    schedule(n, now);
  }
}

// -- who belongs where

package_rev_machine::group_node* package_rev_machine::group_of(const object_key& repository) { return &*groups_.try_emplace(repository).first; }

void package_rev_machine::refer(group_node*& from, group_node* to) {
  if (from == to) return;
  auto* const old = std::exchange(from, to);
  if (to != nullptr) ++to->second.references;
  if (old == nullptr) return;
  --old->second.references;
  drop_if_unused(*old);
}

void package_rev_machine::drop_if_unused(group_node& g) {
  const auto& of = g.second;
  if (of.in_step || of.expelled || of.in_line || of.waiting || of.references > 0 || of.in_flight > 0 || !of.removals.empty() || !of.writes.empty())
    return;
  groups_.erase(object_key{g.first});
}

void package_rev_machine::drop_if_unused(node& n) {
  const auto& s = n.second;
  if (s.wanted_by != nullptr || s.there || s.in_flight || s.queued || s.waiting || !s.buried.empty()) return;
  slots_.erase(object_key{n.first});
}

// -- the cache

void package_rev_machine::begin_revisions() { ++round_; }

void package_rev_machine::want(const object_key& key, const std::string& repository, const part_digest& digest, time now) {
  auto& n = *slots_.try_emplace(key).first;
  auto* const g = group_of({key.ns, repository});
  n.second.round = round_;
  if (n.second.wanted_by == g && n.second.wanted == digest) return;
  edit(n, now, [&](slot& s) {
    refer(s.wanted_by, g);
    s.wanted = digest;
    s.failures = s.repairs = 0;
    s.not_before = s.written = {};
  });
}

void package_rev_machine::end_revisions(time now) {
  std::vector<object_key> left;
  for (auto& [key, s] : slots_)
    if (s.wanted_by != nullptr && s.round != round_)
      left.push_back(key);
  for (const auto& key : left) edit(*slots_.find(key), now, [&](slot& s) { refer(s.wanted_by, nullptr); });
  loaded_ = true;
  recount(now);
}

void package_rev_machine::unwant(const object_key& key, time now) {
  const auto at = slots_.find(key);
  if (at == slots_.end()) return;
  edit(*at, now, [&](slot& s) {
    refer(s.wanted_by, nullptr);
    s.failures = 0;
    s.not_before = {};
  });
}

void package_rev_machine::set_step(const std::vector<object_key>& repositories, bool in_step, time now) {
  bool matters = false;
  for (const auto& key : repositories) {
    auto& g = *group_of(key);
    if (in_step) g.second.expelled = false; // another has the name now, and is followed
    if (std::exchange(g.second.in_step, in_step) != in_step) matters = matters || g.second.references > 0;
    drop_if_unused(g);
  }
  if (matters) recount(now);
}

void package_rev_machine::enter_step(const std::vector<object_key>& repositories, time now) { set_step(repositories, true, now); }

void package_rev_machine::leave_step(const std::vector<object_key>& repositories, time now) { set_step(repositories, false, now); }

bool package_rev_machine::in_step(const object_key& repository) const {
  const auto at = groups_.find(repository);
  return at != groups_.end() && at->second.in_step;
}

void package_rev_machine::expel(const object_key& repository, time now) {
  auto& g = group_of(repository)->second;
  if (g.expelled && !g.in_step) return; // as it is already
  g.expelled = true;
  g.in_step = false;
  recount(now);
}

bool package_rev_machine::take_expelled(const object_key& repository) {
  const auto at = groups_.find(repository);
  if (at == groups_.end()) return true;
  if (!ready() || at->second.leaving > 0 || at->second.in_flight > 0) return false;
  at->second.expelled = false;
  drop_if_unused(*at);
  return true;
}

void package_rev_machine::end_expulsion(const object_key& repository, time now) {
  const auto at = groups_.find(repository);
  if (at == groups_.end() || !std::exchange(at->second.expelled, false)) return;
  recount(now);
  drop_if_unused(*at);
}

package_rev_machine::obstacle package_rev_machine::obstacle_of(const object_key& repository) const {
  obstacle out;
  const auto at = groups_.find(repository);
  if (at == groups_.end()) return out;
  out.refused = at->second.said;
  for (const auto& [key, s] : slots_)
    if (s.there && s.label == &*at && s.terminating && !s.held && out.held++ == 0) {
      out.example = key;
      out.foreign = s.foreign;
    }
  return out;
}

// -- the API server

void package_rev_machine::show(const object_key& ns, slot& s, const package_rev_view& view) {
  s.there = true;
  s.uid = view.uid;
  s.version = view.resource_version;
  s.digest = view.digest;
  s.terminating = view.terminating;
  s.held = view.held;
  s.mine = view.mine;
  s.foreign = view.foreign;
  refer(s.label, view.repository.empty() ? nullptr : group_of({ns.ns, view.repository}));
}

void package_rev_machine::seen(const object_key& key, const package_rev_view& view, time now) {
  auto& n = *slots_.try_emplace(key).first;
  if (!n.second.buried.empty() && n.second.buried == view.uid) return; // from before its end
  edit(n, now, [&](slot& s) {
    if (s.there && s.uid == view.uid && !s.answered.empty() && known_older(view.resource_version, s.answered)) {
      s.suspect = true; // from before our own write
      return;
    }
    s.buried.clear();
    s.answered.clear();
    s.suspect = false;
    show(key, s, view);
  });
}

/// Others deleted what is wanted.
void package_rev_machine::mourn(slot& s, time now) const {
  if (s.wanted_by != nullptr) s.not_before = std::max(s.not_before, now + policy_.grave);
}

void package_rev_machine::gone(const object_key& key, const std::string& uid, time now) {
  const auto at = slots_.find(key);
  if (at == slots_.end()) return;
  edit(*at, now, [&](slot& s) {
    if (!s.buried.empty() && s.buried == uid) {
      s.buried.clear();
      return;
    }
    if (s.there && !uid.empty() && s.uid != uid) return;
    mourn(s, now);
    s.voided = s.in_flight;
    s.there = s.suspect = s.read_first = false;
    s.answered.clear();
    refer(s.label, nullptr);
  });
}

void package_rev_machine::listed(time now) {
  std::vector<object_key> odd;
  for (const auto& [key, s] : slots_)
    if (s.suspect || !s.buried.empty())
      odd.push_back(key);
  for (const auto& key : odd)
    edit(*slots_.find(key), now, [](slot& s) {
      s.read_first = s.read_first || std::exchange(s.suspect, false);
      s.buried.clear();
    });
  if (!std::exchange(listed_, true)) recount(now);
}

} // namespace veranda::logic
