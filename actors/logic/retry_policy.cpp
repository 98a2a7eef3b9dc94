#include "actors/logic/retry_policy.hpp"

#include "actors/logic/backoff.hpp"

#include <algorithm>

namespace veranda::logic {
namespace {

constexpr std::uint32_t max_races = 3;

using kind = retry_decision::kind;

/// What the other side asked for, within bounds that are ours.
std::chrono::milliseconds asked_for(const machine_settings& s, const failure& f, std::chrono::milliseconds otherwise) {
  if (!f.retry_after) return otherwise;
  return std::clamp(*f.retry_after, s.retry_initial, std::max({s.default_frequency, s.retry_max, s.retry_initial}));
}

retry_decision back_off(const machine_settings& s, failure_streak& streak, const failure& f, double draw) {
  const auto delay = next_delay({.initial = s.retry_initial, .max = s.retry_max}, streak.retries++, draw);
  return {.what = kind::later, .delay = std::max(delay, asked_for(s, f, delay))};
}

/// What was not found may appear without anything changing here, and asking is a listing: as often as a health check. The rest waits longer: a rejected
/// password that is tried again and again locks accounts.
retry_decision recheck(const machine_settings& s, const failure& f, double draw) {
  auto delay = s.needs_change_recheck;
  if (f.code == ec::not_found && s.health_check_frequency.count() > 0)
    delay = std::min(delay, std::max(s.health_check_frequency, s.retry_initial));
  return {.what = kind::later, .delay = stretched(delay, draw), .stalled = true};
}

} // namespace

retry_decision after_failure(const machine_settings& s, failure_streak& streak, const failure& f, double draw) {
  const auto cls = class_of(f.code);
  if (cls != error_class::race && cls != error_class::stop) streak.races = 0;
  switch (cls) {
    case error_class::retry:
    case error_class::bug: return back_off(s, streak, f, draw);
    case error_class::wait:
      return {.what = f.code == ec::overloaded ? kind::waiting : kind::later,
              .delay = stretched(asked_for(s, f, s.retry_max), draw)};
    case error_class::needs_change: return recheck(s, f, draw);
    case error_class::race:
      if (streak.races < max_races) {
        ++streak.races;
        return {.what = kind::redo};
      }
      return back_off(s, streak, f, draw);
    case error_class::damaged:
      if (!streak.refetched) {
        streak.refetched = true;
        return {.what = kind::redo};
      }
      return recheck(s, f, draw);
    case error_class::stop: return {.what = kind::silent, .delay = next_delay({s.retry_initial, s.retry_max}, 0, draw)};
  }
  return back_off(s, streak, f, draw);
}

} // namespace veranda::logic
