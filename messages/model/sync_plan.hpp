#pragma once

#include "messages/model/sync.hpp"

namespace veranda {

/// What a repository intends to do and why, as of one instant: what `veranda explain` is made of.
struct sync_plan {
  struct under_way {
    std::string sync_id;
    sync_cause cause = sync_cause::start;
    bool full = false;
    wall_time started{};
    bool followed = false; ///< another sync begins as soon as it ends
  };

  std::string expression;                    ///< cron, as in the spec; empty: none
  std::string schedule_problem;              ///< why it is not followed; empty: it is
  std::string time_zone;                     ///< that the expression is read in unless it names one
  std::chrono::milliseconds period{0};       ///< of what has no expression that can be followed
  std::vector<wall_time> upcoming;           ///< the next times of the schedule alone
  std::optional<wall_time> scheduled;        ///< the next of the schedule, as planned
  std::optional<wall_time> run_once;         ///< accepted and not done
  std::optional<wall_time> retry;            ///< of a failed sync
  std::optional<wall_time> health;           ///< next look at the remote's refs between syncs
  std::optional<wall_time> not_before;       ///< nothing but a trigger starts earlier
  std::optional<under_way> running;
  std::optional<failure> invalid;            ///< the object cannot be synced
  std::optional<failure> error;              ///< of the last sync
  std::uint32_t failures = 0;                ///< delayed retries in a row
  bool known = false;                        ///< the object was seen
  bool suspended = false;
  bool deleted = false;
  bool stalled = false; ///< only a change of the object, its Secret or its remote can help
};

} // namespace veranda
