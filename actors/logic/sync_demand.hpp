#pragma once

#include "messages/model/sync.hpp"

#include <algorithm>

namespace veranda::logic {

/// A wish for a sync that has not started yet.
struct sync_demand {
  sync_cause cause = sync_cause::start;
  bool full = false;
  bool fresh = false;
  wall_time due{}; ///< when it should begin
};

/// Which of two causes names a sync that serves both. Higher wins: what a person asked for before what the clock did.
[[nodiscard]] constexpr int strength(sync_cause c) noexcept {
  switch (c) {
    case sync_cause::health: return 0;
    case sync_cause::periodic: return 1;
    case sync_cause::cron: return 2;
    case sync_cause::retry: return 3;
    case sync_cause::catch_up: return 4;
    case sync_cause::start: return 5;
    case sync_cause::run_once: return 6;
    case sync_cause::secret_changed: return 7;
    case sync_cause::spec_changed: return 8;
    case sync_cause::user: return 9;
  }
  return 0;
}

/// One demand that satisfies both: the stronger cause, full and fresh if either is, due when the first was.
inline void merge(std::optional<sync_demand>& into, const sync_demand& other) {
  if (!into) {
    into = other;
    return;
  }
  if (strength(other.cause) > strength(into->cause)) into->cause = other.cause;
  into->full = into->full || other.full;
  into->fresh = into->fresh || other.fresh;
  into->due = std::min(into->due, other.due);
}

} // namespace veranda::logic
