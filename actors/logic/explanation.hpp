#pragma once

#include "actors/logic/repository_machine.hpp"

#include <string>
#include <vector>

namespace veranda::logic {

/// What is known of one repository at one instant.
struct repository_facts {
  const sync_plan& plan;
  const durable_state& durable;
  const repository_status& status;
  const std::string& phase; ///< `idle`, `holding`, `claiming`, `listing`, `working`, `applying`
  const std::string& place; ///< in a queue, and why it waits there; empty: it does not
};

/// The same told to people.
struct explanation {
  std::string state; ///< `deleted`, `invalid`, `suspended`, `starting`, `queued`, `syncing`, `stalled`, `retrying` or `ready`
  std::string why;   ///< one sentence
  std::vector<next_sync> planned; ///< the earliest first; causes `runOnceAt`, `retry`, `cron`, `periodic`, `health`; empty while none may run
  std::string next_why;           ///< of the first of them, or why there is none
  std::string advice;             ///< what to do about the last error, empty without one
  std::vector<std::string> notes; ///< whatever else is out of the ordinary: conditions besides Ready and its companions, `Type: message`
};

/// Pure.
[[nodiscard]] explanation explain(const repository_facts& facts, wall_time now);

} // namespace veranda::logic
