#include "actors/logic/elector.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace veranda::logic {

namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::int64_t longest_duration = 10LL * 365 * 24 * 3600; ///< seconds
constexpr std::int64_t most_transitions = std::numeric_limits<std::int32_t>::max(); ///< that an API server takes
constexpr unsigned max_stop_tries = 3;
constexpr std::int64_t released_duration = 1; ///< seconds

/// As a Lease keeps it.
wall_time stamp(wall_time t) { return wall_time{duration_cast<wall_time::duration>(std::chrono::floor<microseconds>(t.time_since_epoch()))}; }

/// Others go by what changes. With a wall clock that stands still, or goes to and fro a little, each renewal is later than the one before all the same.
wall_time distinct(wall_time now, const std::optional<wall_time>& before) {
  const bool near = before && std::chrono::abs(now - *before) < std::chrono::seconds{1};
  return near ? std::max(now, *before + microseconds{1}) : now;
}

} // namespace

std::string_view to_string(elector_role role) noexcept {
  switch (role) {
  case elector_role::standby: return "standby";
  case elector_role::leader: return "leader";
  case elector_role::lost: return "lost";
  case elector_role::stopped: return "stopped";
  }
  return "unknown";
}

elector::elector(elector_policy policy, const moment& m) : policy_(std::move(policy)) { read(m); }

milliseconds elector::patience(time now) const {
  const auto half = policy_.renew_deadline / 2; // a request that hangs leaves room for another
  const bool bounded = role_ == elector_role::leader && !stopping_;
  return std::max(bounded ? std::min(half, duration_cast<milliseconds>(until_ - now)) : half, milliseconds{1});
}

void elector::read(const moment& m) {
  asked_ = m.now;
  next_ = lease_read{patience(m.now)};
}

/// Of a leader: whether its time is up.
bool elector::lapsed(time now) {
  if (role_ == elector_role::leader && !stopping_ && now >= until_) {
    auto why = problem_ ? problem_->what : std::string{"no answer in time"};
    lose({ec::timed_out, "it could not be renewed for " + format_go_duration(policy_.renew_deadline) + ": " + why, {}, {}, {}});
  }
  return role_ == elector_role::lost;
}

bool elector::on_tick(const moment& m) { return role_ == elector_role::leader && lapsed(m.now); }

void elector::lose(failure why) {
  problem_ = std::move(why);
  finish(elector_role::lost);
}

void elector::finish(elector_role role) {
  role_ = role;
  next_ = lease_done{};
}

void elector::observe(std::optional<lease_object> got, time now) {
  const bool there = got.has_value();
  // The version, not the record: what looks the same may have been another's in between.
  const bool changed = there != present_ || (there && (!seen_ || seen_->resource_version != got->resource_version || seen_->uid != got->uid));
  if (changed) observed_ = now;
  if (there) seen_ = std::move(got);
  present_ = there;
  looked_ = true;
}

elector::time elector::expiry() const {
  // Who does not say how long it holds is given as long as we would ask for.
  auto holds = policy_.lease_duration;
  if (seen_ && seen_->record.duration_seconds > 0) holds = std::chrono::seconds{std::min(seen_->record.duration_seconds, longest_duration)};
  return observed_ + (present_ ? holds : std::max(holds, policy_.lease_duration));
}

bool elector::free(time now) const {
  if (!seen_ || (present_ && seen_->record.holder.empty())) return true;
  return now >= expiry(); // that it is gone may hide who holds it
}

void elector::on_read(result<std::optional<lease_object>> got, const moment& m) {
  if (!std::holds_alternative<lease_read>(next_) || lapsed(m.now)) return;
  if (!got) {
    if (stopping_) return stop_failed(got.error());
    problem_ = got.error();
    again_ = false;
    return wait(m);
  }
  problem_.reset();
  unsure_ = false;
  observe(std::move(*got), m.now);
  decide(m);
}

void elector::decide(const moment& m) {
  if (stopping_) return own() ? release(m) : finish(elector_role::stopped);
  const bool leading = role_ == elector_role::leader;
  if (leading && present_ && !own() && !seen_->record.holder.empty())
    return lose({ec::conflict, "it was taken by " + seen_->record.holder, {}, {}, {}});
  if (leading || own() || free(m.now)) return claim(m);
  again_ = false;
  wait(m);
}

void elector::claim(const moment& m) {
  const bool mine = own() || role_ == elector_role::leader;
  lease_record record;
  record.holder = policy_.identity;
  record.duration_seconds = policy_.lease_duration.count();
  record.renewed = stamp(m.wall);
  if (seen_) {
    const auto& last = seen_->record;
    record.renewed = distinct(*record.renewed, last.renewed);
    record.transitions = std::clamp<std::int64_t>(last.transitions, 0, most_transitions);
    if (!mine && record.transitions < most_transitions) ++record.transitions;
    if (mine) record.acquired = last.acquired;
  }
  if (!record.acquired) record.acquired = record.renewed;
  ask(std::move(record), purpose::claim, m);
}

void elector::release(const moment& m) {
  ++stop_tries_;
  lease_record record;
  record.duration_seconds = released_duration;
  record.acquired = record.renewed = stamp(m.wall);
  record.transitions = std::clamp<std::int64_t>(seen_->record.transitions, 0, most_transitions);
  ask(std::move(record), purpose::release, m);
}

void elector::ask(lease_record record, purpose why, const moment& m) {
  asked_ = m.now;
  purpose_ = why;
  if (present_) next_ = lease_replace{std::move(record), *seen_, patience(m.now)};
  else next_ = lease_create{std::move(record), patience(m.now)};
}

void elector::on_written(result<lease_object> got, const moment& m) {
  const bool replaced = std::holds_alternative<lease_replace>(next_);
  if ((!replaced && !std::holds_alternative<lease_create>(next_)) || lapsed(m.now)) return;
  if (purpose_ == purpose::release) return release_ended(got, m);
  if (!got) return stopping_ ? stop_failed(got.error()) : claim_failed(got.error(), m);
  const auto& wrote = replaced ? std::get<lease_replace>(next_).record : std::get<lease_create>(next_).record;
  const bool as_written = got->record.holder == wrote.holder && got->record.duration_seconds == wrote.duration_seconds;
  observe(std::move(*got), m.now);
  if (!as_written) // something between changes Leases: its holder cannot rely on them
    return claim_failed({ec::unsupported, "the API server stored something else than was written", {}, {}, {}}, m);
  problem_.reset();
  unsure_ = again_ = false;
  if (stopping_) return release(m);
  led(m);
}

void elector::led(const moment& m) {
  const auto until = asked_ + policy_.renew_deadline;
  if (m.now >= until) return read(m); // the answer took too long to rely on
  until_ = until;
  role_ = elector_role::leader;
  wait(m);
}

void elector::claim_failed(const failure& why, const moment& m) {
  const bool refused = why.code == ec::conflict;
  const bool leading = role_ == elector_role::leader;
  const bool gone = why.code == ec::not_found && std::holds_alternative<lease_replace>(next_);
  unsure_ = true;
  if (!refused) problem_ = why;
  // A candidate that was refused has lost this round. A leader looks at once, but only once.
  if (leading && (refused || gone) && !std::exchange(again_, true)) return read(m);
  again_ = false;
  wait(m);
}

void elector::wait(const moment& m) {
  time due;
  if (role_ == elector_role::leader) {
    const auto pause = policy_.retry_period / 4; // after a request that took its time
    due = std::min(std::max(asked_ + policy_.retry_period, m.now + pause), until_);
  } else {
    const auto stretch = policy_.spread * std::clamp(m.draw, 0.0, 1.0);
    due = m.now + policy_.retry_period + duration_cast<milliseconds>(policy_.retry_period * stretch);
    if (seen_ && !problem_ && expiry() > m.now) due = std::min(due, expiry());
  }
  next_ = lease_wait{std::max(std::chrono::ceil<milliseconds>(due - m.now), milliseconds{1})};
}

void elector::on_due(const moment& m) {
  if (!std::holds_alternative<lease_wait>(next_) || lapsed(m.now)) return;
  if (role_ == elector_role::leader && present_ && !unsure_ && !stopping_) claim(m);
  else read(m);
}

void elector::stop(const moment& m) {
  if (std::holds_alternative<lease_done>(next_) || std::exchange(stopping_, true)) return;
  if (std::holds_alternative<lease_wait>(next_)) {
    if (unsure_) read(m);
    else if (own()) release(m);
    else finish(elector_role::stopped);
  } else if (std::holds_alternative<lease_read>(next_) && !own() && !unsure_) {
    finish(elector_role::stopped);
  }
}

void elector::release_ended(const result<lease_object>& got, const moment& m) {
  if (got) return finish(elector_role::stopped);
  if (got.error().code == ec::conflict && stop_tries_ < max_stop_tries) return read(m); // somebody wrote it: perhaps a write of our own that came late
  stop_failed(got.error());
}

void elector::stop_failed(const failure& why) {
  unsure_ = true;
  problem_ = why;
  if (++stop_tries_ > max_stop_tries || (why.code == ec::not_found && !own())) return finish(elector_role::stopped);
  next_ = lease_wait{std::max(policy_.retry_period / 4, milliseconds{1})};
}

} // namespace veranda::logic
