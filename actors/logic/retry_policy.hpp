#pragma once

#include "actors/logic/repository_machine.hpp"

namespace veranda::logic {

/// Failures in a row, as far as the next delay depends on them. A success, a changed spec and a trigger start over.
struct failure_streak {
  std::uint32_t retries = 0; ///< delays handed out by backoff
  std::uint32_t races = 0;   ///< immediate redos after a race
  bool refetched = false;    ///< the one immediate redo after damage was used
};

/// What follows a failure.
struct retry_decision {
  enum class kind : std::uint8_t {
    redo,   ///< at once, with a fresh listing; nothing is said yet
    later,  ///< after `delay`; the failure is shown
    waiting, ///< after `delay`; our own queue is full, which is no fault of the repository: nothing is shown
    silent, ///< after `delay`; somebody stopped the sync, nothing is shown
  };
  kind what = kind::later;
  std::chrono::milliseconds delay{0};
  bool stalled = false; ///< only a change of the object, its Secret or its remote can help
};

/// Decides by class of the failure (see `repository_machine`), counts it in `streak`. `draw` is in [0, 1). Pure.
/// What the other side asked for is honoured up to one default period, so that a hostile answer cannot silence a repository.
[[nodiscard]] retry_decision after_failure(const machine_settings& settings, failure_streak& streak, const failure& f, double draw);

} // namespace veranda::logic
