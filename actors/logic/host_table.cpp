#include "actors/logic/host_table.hpp"

#include <algorithm>
#include <utility>

namespace veranda::logic {
namespace {

constexpr std::string_view secret_field = "spec.git.secretRef";
constexpr const char* everybody = "*";
constexpr std::chrono::milliseconds shortest_pause{1'000};

std::chrono::milliseconds until(steady_instant then, steady_instant now) {
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(then - now), std::chrono::milliseconds{1});
}

} // namespace

host_verdict verdict_of(const failure* why) noexcept {
  if (why == nullptr) return host_verdict::good;
  switch (why->code) {
    case ec::unreachable:
    case ec::timed_out:
      return why->field == secret_field ? host_verdict::nothing : host_verdict::blamed;
    case ec::unavailable:
      if (why->field == secret_field) return host_verdict::nothing;
      return why->retry_after ? host_verdict::answered : host_verdict::blamed; // one that says when is no riddle
    case ec::throttled:
    case ec::auth_rejected:
    case ec::not_found:
    case ec::too_large:
    case ec::unsupported: return host_verdict::answered;
    default: return host_verdict::nothing;
  }
}

host_answer host_table::enter(const host_visitor& who, steady_instant now) {
  using kind = host_answer::kind;
  const auto at = hosts_.find(who.host);
  if (at == hosts_.end()) return {};
  auto& e = at->second;
  for (const auto& budget : {std::string{everybody}, who.budget})
    if (const auto p = e.pauses.find(budget); p != e.pauses.end() && p->second > now) return {.what = kind::paused, .wait = until(p->second, now)};
  if (!e.open || who.fetch) return {};
  e.visited = now;
  if (e.probe != 0 && now < e.probe_until) return {.what = kind::hold};
  if (!who.user && now < e.next_probe) return {.what = kind::unavailable, .wait = until(e.next_probe, now)};
  e.probe = ++probes_;
  e.probe_until = now + rules_.probe_patience;
  return {.what = kind::probe, .probe = e.probe};
}

host_change host_table::ended(const host_visitor& who, std::uint64_t probe, const failure* why, std::optional<std::chrono::milliseconds> pause_for,
                              steady_instant now) {
  if (hosts_.size() >= sweep_at_) sweep(now);
  auto& e = hosts_[who.host];
  const bool was_probe = probe != 0 && e.probe == probe;
  if (was_probe) e.probe = 0;
  const auto verdict = verdict_of(why);
  if (verdict == host_verdict::good) e.good.insert_or_assign(who.remote, now);
  const bool own_way = why != nullptr && why->field == secret_field;
  const bool paused = pause_for && !own_way && pause(e, who, why, *pause_for, now);
  if (verdict == host_verdict::nothing) return was_probe ? host_change::probe_lost : host_change::nothing;
  if (verdict == host_verdict::blamed) return blame(e, who.remote, was_probe, *why, now);
  e.failures = 0;
  if (std::exchange(e.open, false)) {
    e.probe = 0;
    return host_change::closed;
  }
  return paused ? host_change::paused : host_change::nothing;
}

/// A remote that was well tells news; those that never were tell the host's state only where nobody is well.
bool host_table::counts(entry& e, const std::string& remote, steady_instant now) const {
  std::erase_if(e.good, [&](const auto& g) { return now - g.second > rules_.memory; });
  return e.good.erase(remote) > 0 || e.good.empty();
}

host_change host_table::blame(entry& e, const std::string& remote, bool was_probe, const failure& why, steady_instant now) {
  const bool news = counts(e, remote, now);
  if (e.open) {
    if (!was_probe) return host_change::nothing;
    e.cause = why.what;
    e.next_probe = now + next_delay(rules_.probes, ++e.attempts, draw());
    return host_change::probe_failed;
  }
  if (!news) return host_change::nothing;
  if (e.failures++ == 0) e.since = now;
  e.cause = why.what;
  if (e.failures < rules_.failures) return host_change::nothing;
  e.open = true;
  e.visited = now;
  e.attempts = 0;
  e.next_probe = now + next_delay(rules_.probes, 0, draw());
  return host_change::opened;
}

bool host_table::pause(entry& e, const host_visitor& who, const failure* why, std::chrono::milliseconds wanted, steady_instant now) const {
  std::erase_if(e.pauses, [now](const auto& p) { return p.second <= now; });
  const auto whose = why != nullptr && why->code == ec::unavailable ? std::string{everybody} : who.budget;
  const bool fresh = !e.pauses.contains(whose);
  auto& end = e.pauses[whose];
  end = std::max(end, now + std::clamp(wanted, std::min(shortest_pause, rules_.longest_pause), rules_.longest_pause));
  return fresh;
}

host_change host_table::expire(const std::string& host, steady_instant now) {
  const auto at = hosts_.find(host);
  if (at == hosts_.end()) return host_change::nothing;
  auto& e = at->second;
  if (e.open && now - e.visited >= rules_.memory) {
    hosts_.erase(at);
    return host_change::forgotten;
  }
  if (e.probe == 0 || now < e.probe_until) return host_change::nothing;
  e.probe = 0;
  return host_change::probe_lost;
}

host_view host_table::view(const std::string& host, steady_instant now) const {
  host_view out;
  const auto at = hosts_.find(host);
  if (at == hosts_.end()) return out;
  const auto& e = at->second;
  out.pauses = e.pauses;
  std::erase_if(out.pauses, [now](const auto& p) { return p.second <= now; });
  if (!e.open) return out;
  out.condition = e.probe != 0 && now < e.probe_until ? host_condition::probing : host_condition::down;
  out.since = e.since;
  out.next_probe = std::max(e.next_probe, now);
  out.cause = e.cause;
  return out;
}

std::optional<steady_instant> host_table::next_due(const std::string& host, steady_instant now) const {
  const auto at = hosts_.find(host);
  if (at == hosts_.end()) return std::nullopt;
  std::optional<steady_instant> due;
  const auto consider = [&](steady_instant t) {
    if (t > now && (!due || t < *due)) due = t;
  };
  if (at->second.probe != 0) consider(at->second.probe_until);
  if (at->second.open) consider(at->second.visited + rules_.memory);
  for (const auto& [budget, end] : at->second.pauses) consider(end);
  return due;
}

/// Hosts of which nothing is known that matters are forgotten.
void host_table::sweep(steady_instant now) {
  std::erase_if(hosts_, [&](const auto& h) {
    const auto& e = h.second;
    const bool remembered = std::any_of(e.good.begin(), e.good.end(), [&](const auto& g) { return now - g.second <= rules_.memory; });
    const bool paused = std::any_of(e.pauses.begin(), e.pauses.end(), [now](const auto& p) { return p.second > now; });
    return !e.open && e.failures == 0 && !remembered && !paused;
  });
  sweep_at_ = std::max<std::size_t>(1024, hosts_.size() * 2);
}

} // namespace veranda::logic
